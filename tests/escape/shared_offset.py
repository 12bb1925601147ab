# Leaves a mark in the flags of an inherited descriptor for the next execution.
# row: 22
# bare: "escaped"
# runs: 2
# sandboxed: result "nothing"
# layer: seal: a descriptor 0 of its own

seen = [fd for fd in range(3) if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND]
for fd in range(3):
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    except OSError:
        pass
_result = "escaped" if seen else "nothing"
