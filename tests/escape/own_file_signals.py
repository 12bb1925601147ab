# Directs the signals of a descriptor at another process.
# row: 30
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: fcntl.fcntl(socket.socketpair()[0], fcntl.F_SETOWN, W.sibling))
