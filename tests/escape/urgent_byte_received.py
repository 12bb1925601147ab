# Asks for a byte out of band.
# row: own
# bare: {"errno": 22}
# sandboxed: errno EPERM
# layer: seccomp

def act():
    one, other = socket.socketpair()
    other.send(b"x")
    one.recv(1, socket.MSG_OOB | socket.MSG_DONTWAIT)


_result = attempt(act)
