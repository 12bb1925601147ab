# Sends a byte out of band over a pair of sockets, which has led out of other sandboxes.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    one, other = socket.socketpair()
    one.send(b"x", socket.MSG_OOB)


_result = attempt(act)
