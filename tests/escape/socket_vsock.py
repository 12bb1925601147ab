# Makes a socket of the family or protocol vsock.
# row: 19
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 40, 1, 0))
