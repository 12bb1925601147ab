# Makes a socket of the family or protocol alg.
# row: 19
# bare: n/a the kernel here has no AF_ALG
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 38, 5, 0))
