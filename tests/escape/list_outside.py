# Lists a directory outside.
# row: 1
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.listdir(W.outside) and None)
