# Makes a socket of the family or protocol sctp.
# row: 19
# bare: n/a the kernel here has no SCTP
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 2, 1, 132))
