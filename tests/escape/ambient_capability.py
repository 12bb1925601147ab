# Passes a capability on to programs without privileges.
# row: own
# bare: {"errno": 1}
# sandboxed: errno EPERM
# layer: seccomp, capabilities

_result = attempt(lambda: call("prctl", 47, 2, 5, 0, 0))
