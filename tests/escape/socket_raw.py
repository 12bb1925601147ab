# Makes a socket of the family or protocol raw.
# row: 19
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 2, 3, 1))
