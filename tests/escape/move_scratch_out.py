# Moves a file of its own outside.
# row: 6
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

open("own", "w").close()
_result = attempt(lambda: os.rename("own", W.outside + "/made"))
