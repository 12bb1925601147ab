# Loads a filter that hands calls to a listener.
# row: 43
# bare: {"errno": 14}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("seccomp", 1, 8, 0))
