# Offers a port.
# row: 13
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: socket.socket().bind(("127.0.0.1", 0)))
