# Reads a file outside every granted path.
# row: 1
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(W.outside + "/secret").read() and None)
