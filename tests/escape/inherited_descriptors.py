# Looks for a descriptor that somebody left open.
# row: 22
# bare: "escaped"
# sandboxed: result "nothing"
# layer: descriptors

left = []
for fd in range(3, 1024):
    try:
        kind = os.fstat(fd).st_mode
    except OSError:
        continue
    if not stat.S_ISSOCK(kind):
        left.append(fd)
_result = "escaped" if left else "nothing"
