# Fills pairs of sockets.
# row: 47
# bare: "escaped"
# sandboxed: result "bounded"
# layer: rlimit

held, filled = [], 0
try:
    for _ in range(300):
        pair = socket.socketpair()
        held += pair
        for end in pair:
            end.setblocking(False)
            try:
                while True:
                    filled += end.send(bytes(65536))
            except BlockingIOError:
                pass
except OSError as error:
    assert error.errno == errno.EMFILE, error
_result = "bounded" if filled <= 64 << 20 else "escaped"
