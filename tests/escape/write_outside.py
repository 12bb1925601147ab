# Appends to a file outside.
# row: 1
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(W.outside + "/secret", "a").write("x") and None)
