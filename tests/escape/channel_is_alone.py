# Looks for a second socket: a listener, the zygote's control socket.
# row: 22
# bare: n/a a bare process has no channel
# sandboxed: result "nothing"
# layer: descriptors

sockets = []
for fd in range(0, 1024):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            sockets.append(fd)
    except OSError:
        pass
_result = "escaped" if len(sockets) > 1 else "nothing"
