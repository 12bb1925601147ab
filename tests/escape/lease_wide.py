# Takes a lease with bits above those that the kernel reads.
# row: 4
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("fcntl", os.open(W.leasable, os.O_RDONLY), 1024 | 1 << 32, fcntl.F_RDLCK))
