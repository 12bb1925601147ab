# Directs signals with an ioctl.
# row: 30
# bare: "escaped"
# sandboxed: errno ENOTTY
# layer: seccomp

_result = attempt(lambda: fcntl.ioctl(socket.socketpair()[0], 0x8901, struct.pack("i", W.sibling)) and None)
