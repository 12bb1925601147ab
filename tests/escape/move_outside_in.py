# Moves a file from outside into scratch.
# row: 6
# bare: "escaped"
# canary: outside
# sandboxed: errno EXDEV
# sandboxed-unmounted: errno EACCES
# layer: landlock, kernel

_result = attempt(lambda: os.rename(W.outside + "/movable", "moved"))
