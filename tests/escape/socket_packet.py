# Makes a socket of the family or protocol packet.
# row: 19
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 17, 3, 0))
