# Closes the channel and goes on.
# row: 56
# bare: n/a a bare process has no channel
# timeout: 3
# sandboxed: outcome protocol
# layer: supervisor

fd = channel()
os.close(fd)
time.sleep(5)
_result = "escaped"
