# Locks with a lock of the descriptor.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: fcntl.fcntl(os.open(W.granted + "/module.py", 0), 37, struct.pack("hhqqi4x", 0, 0, 0, 1, 0)) and None)
