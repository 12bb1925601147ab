# Locks /dev/null against everybody.
# row: own
# bare: "escaped"
# sandboxed: result "no effect"
# layer: seccomp (no effect)

file = open("/dev/null", "r+b")
fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
file = open("/dev/null", "rb")
try:
    fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
    _result = "no effect"
except OSError:
    _result = "escaped"
