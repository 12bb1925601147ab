# Sends messages with the call that carries several.
# row: 21
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

ours, theirs = socket.socketpair()
_result = attempt(lambda: call("sendmmsg", ours.fileno(), b"", 0, 0))
