# Chooses the signal of a descriptor.
# row: 30
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: fcntl.fcntl(socket.socketpair()[0], 10, 9))
