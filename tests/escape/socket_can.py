# Makes a socket of the family or protocol can.
# row: 19
# bare: n/a the kernel here has no CAN
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 29, 3, 1))
