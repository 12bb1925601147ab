# On the channel it nests groups.
# row: 56
# bare: n/a a bare process has no channel
# timeout: 3
# sandboxed: outcome protocol
# layer: supervisor

fd = channel()
os.write(fd, (4096).to_bytes(4, "little") + b"\x0b" * 4096)
time.sleep(5)
_result = "escaped"
