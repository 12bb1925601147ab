# Makes itself traceable.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 4, 1, 0, 0, 0))
