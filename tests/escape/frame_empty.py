# On the channel it sends an empty frame.
# row: 56
# bare: n/a a bare process has no channel
# timeout: 3
# sandboxed: outcome protocol
# layer: supervisor

fd = channel()
os.write(fd, bytes(4))
time.sleep(5)
_result = "escaped"
