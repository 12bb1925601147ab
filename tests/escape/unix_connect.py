# Connects to a service by the path of its socket.
# row: 17
# bare: "escaped"
# canary: network
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: socket.socket(socket.AF_UNIX).connect(W.unix))
