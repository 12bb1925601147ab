# Fills the disk with files (32 MiB bare).
# row: 50
# bare: "escaped"
# limits: {"scratch_bytes": 8388608}
# sandboxed: errno ENOSPC
# sandboxed-unmounted: outcome over_scratch
# layer: mount, watch

def act():
    for at in range(32):
        open(f"f{at}", "wb").write(bytes(1 << 20))
    time.sleep(1)


_result = attempt(act)
