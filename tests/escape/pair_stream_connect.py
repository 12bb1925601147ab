# Connects a socket of a permitted pair to a service.
# row: 17
# bare: {"errno": 106}
# sandboxed: errno EPERM
# layer: seccomp

def act():
    ours, _ = socket.socketpair()
    ours.connect(W.unix)


_result = attempt(act)
