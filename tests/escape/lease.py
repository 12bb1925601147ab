# Takes a lease on a shared file, which tells when others open it.
# row: 4
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: fcntl.fcntl(os.open(W.leasable, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK))
