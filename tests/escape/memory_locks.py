# Makes record locks without end (20,000 bare): each is kernel memory that no limit counts.
# row: own
# bare: "escaped"
# sandboxed: result "no effect"
# layer: seccomp (no effect)

file = open("locked", "w+")
for at in range(20000, 0, -1):
    fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, at * 2, 1, 0))
file = open("locked", "rb")
try:
    # the kernel refuses this one; where it succeeds, none of the others were made either
    fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
    _result = "no effect"
except OSError:
    _result = "escaped"
