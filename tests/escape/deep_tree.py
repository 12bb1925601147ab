# Leaves a tree deeper than any path can name.
# row: 7
# bare: "escaped"
# limits: {"scratch_bytes": 268435456}
# sandboxed: accepted "escaped"
# layer: supervisor: removes it all the same

for _ in range(60):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
_result = "escaped"
