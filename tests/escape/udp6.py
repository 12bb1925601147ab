# Makes a datagram socket of the newer protocol.
# row: 16
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close())
