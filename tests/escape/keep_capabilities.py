# Keeps its capabilities over a change of user.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 8, 1, 0, 0, 0))
