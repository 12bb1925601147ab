# On the channel it announces four gigabytes.
# row: 56
# bare: n/a a bare process has no channel
# timeout: 3
# sandboxed: outcome protocol
# layer: supervisor

fd = channel()
os.write(fd, b"\xff\xff\xff\xff")
time.sleep(5)
_result = "escaped"
