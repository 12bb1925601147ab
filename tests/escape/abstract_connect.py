# Connects to a service by an abstract name.
# row: 18
# bare: "escaped"
# canary: network
# sandboxed: errno EPERM
# layer: seccomp, landlock

_result = attempt(lambda: socket.socket(socket.AF_UNIX).connect("\0" + W.abstract))
