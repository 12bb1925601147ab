# Asks not to die with its parent.
# row: 30
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 1, 0, 0, 0, 0))
