# On the channel it speaks for another execution.
# row: 56
# bare: n/a a bare process has no channel
# timeout: 3
# sandboxed: outcome protocol
# layer: supervisor

fd = channel()
os.write(fd, (4).to_bytes(4, "little") + bytes([0x08, 0x63, 0x10, 0x63]))
time.sleep(5)
_result = "escaped"
