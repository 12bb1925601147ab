# Renames a file within a directory outside.
# row: 1
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.rename(W.outside + "/movable", W.outside + "/moved"))
