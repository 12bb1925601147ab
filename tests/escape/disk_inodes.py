# Makes files without end (3,000 bare).
# row: 50
# bare: "escaped"
# limits: {"scratch_files": 1000}
# sandboxed: errno ENOSPC
# sandboxed-unmounted: outcome over_scratch
# layer: mount, watch

def act():
    for at in range(3000):
        open(f"f{at}", "wb").close()
    time.sleep(1)


_result = attempt(act)
