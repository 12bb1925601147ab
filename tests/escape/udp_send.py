# Sends a datagram to a port of this machine.
# row: 16
# bare: "escaped"
# canary: network
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", W.udp)) and None)
