# On the channel it sends a field nobody knows.
# row: 56
# bare: n/a a bare process has no channel
# timeout: 3
# sandboxed: outcome protocol
# layer: supervisor

fd = channel()
os.write(fd, (3).to_bytes(4, "little") + bytes([0xfa, 0x7f, 0x00]))
time.sleep(5)
_result = "escaped"
