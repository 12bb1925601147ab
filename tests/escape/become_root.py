# Changes its user.
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: errno EPERM
# layer: seccomp, capabilities

_result = attempt(lambda: call("setresuid", 1, 1, 1))
