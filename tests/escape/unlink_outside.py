# Removes a file outside.
# row: 1
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.unlink(W.outside + "/movable"))
