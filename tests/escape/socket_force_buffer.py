# Takes more socket memory than allowed.
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: errno EPERM
# layer: seccomp

ours, theirs = socket.socketpair()
_result = attempt(lambda: ours.setsockopt(socket.SOL_SOCKET, 32, 1 << 30))
