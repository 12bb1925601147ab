# Makes a socket of the family or protocol smc.
# row: 19
# bare: n/a the kernel here has no SMC
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 43, 1, 0))
