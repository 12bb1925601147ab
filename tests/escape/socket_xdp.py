# Makes a socket of the family or protocol xdp.
# row: 19
# bare: n/a the kernel here has no XDP sockets
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 44, 3, 0))
