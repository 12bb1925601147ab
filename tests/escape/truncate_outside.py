# Cuts a file outside by its path.
# row: 1
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.truncate(W.outside + "/secret", 1))
