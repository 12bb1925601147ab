# Makes files without end (3,000 bare).
# row: 50
# bare: "escaped"
# limits: {"scratch_files": 1000}
# sandboxed: outcome over_scratch
# layer: supervisor

for at in range(3000):
    open(f"f{at}", "wb").close()
time.sleep(1)
_result = "escaped"
