# Sends a descriptor over a socket.
# row: 21
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    ours, _ = socket.socketpair()
    socket.send_fds(ours, [b"x"], [0])


_result = attempt(act)
