# Moves what /proc says about it.
# row: own
# bare: {"errno": 1}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 35, 8, 4096, 0, 0))
