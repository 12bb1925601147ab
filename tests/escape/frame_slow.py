# Announces a large frame and sends one byte a second.
# row: 56
# bare: n/a a bare process has no channel
# timeout: 2
# sandboxed: outcome timed_out
# layer: supervisor

fd = channel()
os.write(fd, (1 << 20).to_bytes(4, "little"))
while True:
    os.write(fd, b"x")
    time.sleep(1)
_result = "escaped"
