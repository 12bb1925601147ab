# Loads a filter with prctl.
# row: 43
# bare: {"errno": 14}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 22, 2, 0, 0, 0))
