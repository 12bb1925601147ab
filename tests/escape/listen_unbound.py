# Listens without binding, which binds by itself.
# row: 14
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: socket.socket().listen())
