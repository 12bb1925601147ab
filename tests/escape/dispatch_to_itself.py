# Has the kernel hand its own calls back to it, as emulators do.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 59, 0, 0, 0, 0))
