# Changes what being root means for it.
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: errno EPERM
# layer: seccomp, capabilities

_result = attempt(lambda: call("prctl", 28, 1, 0, 0, 0))
