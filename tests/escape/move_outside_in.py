# Moves a file from outside into scratch.
# row: 6
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.rename(W.outside + "/movable", "moved"))
