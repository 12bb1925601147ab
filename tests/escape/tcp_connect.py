# Connects to a port of this machine.
# row: 13
# bare: "escaped"
# canary: network
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: socket.create_connection(("127.0.0.1", W.tcp)) and None)
