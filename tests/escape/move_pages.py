# Moves the pages of another process.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock, dumpable

_result = attempt(lambda: call("move_pages", W.sibling, 0, 0, 0, 0, 0))
