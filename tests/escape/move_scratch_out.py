# Moves a file of its own outside.
# row: 6
# bare: "escaped"
# canary: outside
# sandboxed: errno EXDEV
# sandboxed-unmounted: errno EACCES
# layer: landlock, kernel

open("own", "w").close()
_result = attempt(lambda: os.rename("own", W.outside + "/made"))
