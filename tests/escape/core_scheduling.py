# Chooses who shares its core.
# row: own
# bare: n/a the kernel here has no core scheduling
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 62, 0, 0, 0, 0))
