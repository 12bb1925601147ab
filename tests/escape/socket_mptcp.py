# Makes a socket of the family or protocol mptcp.
# row: 19
# bare: n/a the kernel here has no MPTCP
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 2, 1, 262))
