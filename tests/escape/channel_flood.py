# Writes garbage to the channel without end.
# row: 49
# bare: n/a a bare process has no channel
# timeout: 3
# sandboxed: outcome protocol
# layer: supervisor

fd = channel()
try:
    while True:
        os.write(fd, b"\xff" * 65536)
except OSError:
    time.sleep(5)
_result = "escaped"
