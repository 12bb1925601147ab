# Watches a directory with the oldest interface.
# row: 4
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: fcntl.fcntl(os.open(W.granted, os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_ACCESS))
