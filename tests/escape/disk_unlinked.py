# Fills the disk with files that have no name any more (32 MiB bare).
# row: 50
# bare: "escaped"
# limits: {"scratch_bytes": 8388608}
# sandboxed: accepted "escaped"
# layer: residual: bounded by the deadline and the disk; see SECURITY

held = []
for at in range(32):
    held.append(open("f", "wb"))
    held[-1].write(bytes(1 << 20))
    held[-1].flush()
    os.unlink("f")
time.sleep(0.6)
_result = "escaped"
