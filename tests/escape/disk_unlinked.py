# Fills the disk with files that have no name any more (32 MiB bare).
# row: 50
# bare: "escaped"
# limits: {"scratch_bytes": 8388608}
# sandboxed: errno ENOSPC
# sandboxed-unmounted: accepted "escaped"
# layer: mount

def act():
    held = []
    for at in range(32):
        held.append(open("f", "wb", buffering=0))
        held[-1].write(bytes(1 << 20))
        os.unlink("f")
    time.sleep(0.6)


_result = attempt(act)
