# Makes a named pipe outside.
# row: 1
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.mkfifo(W.outside + "/made"))
