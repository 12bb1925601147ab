# Stalls every file system of the machine.
# row: own
# bare: "escaped"
# sandboxed: result "escaped"
# layer: seccomp (no effect)

os.sync()
_result = "escaped"
