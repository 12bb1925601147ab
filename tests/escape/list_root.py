# Lists the root directory.
# row: 1
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.listdir("/") and None)
