# Makes a pair of datagram sockets, which may address any path.
# row: 17
# bare: "escaped"
# canary: network
# sandboxed: errno EPERM
# layer: seccomp

def act():
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"x", W.unix_datagram)


_result = attempt(act)
