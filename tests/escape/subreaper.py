# Becomes the parent of orphans.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 36, 1, 0, 0, 0))
