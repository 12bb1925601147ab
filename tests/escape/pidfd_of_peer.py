# Holds the process at the other end of the channel.
# row: 29
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

ours, theirs = socket.socketpair()
_result = attempt(lambda: call("getsockopt", ours.fileno(), 1, 77, (ctypes.c_int * 1)(), (ctypes.c_int * 1)(4)))
