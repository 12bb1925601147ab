# Makes the kernel keep a larger table of waiters for it.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 78, 1, 1024, 0, 0))
