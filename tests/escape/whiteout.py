# Leaves a whiteout, a device of overlay file systems, in the place of a file.
# row: 7
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: it stays in scratch, and opens nothing

def act():
    open("plain", "w").close()
    call("renameat2", -100, "plain", -100, "moved", 4)


_result = attempt(act)
