# Asks who is at the other end of the channel.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

ours, theirs = socket.socketpair()
_result = attempt(lambda: ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12) and None)
