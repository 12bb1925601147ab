# Leaves a record lock on a commonly readable file, which others can see.
# row: own
# bare: "escaped"
# sandboxed: result "no effect"
# layer: seccomp (no effect)

file = open(W.granted + "/module.py", "rb")
fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 1, 0))
try:
    # the kernel refuses this one; where it succeeds, the other was not made either
    fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
    _result = "no effect"
except OSError:
    _result = "escaped"
