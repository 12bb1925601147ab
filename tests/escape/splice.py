# Moves pages between pipes.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("splice", os.open(W.granted + "/module.py", 0), 0, os.pipe()[1], 0, 16, 0))
