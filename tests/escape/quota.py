# Asks about disk quotas.
# row: own
# bare: n/a the kernel here has no quotas
# sandboxed: outcome denied quotactl
# layer: seccomp

_result = attempt(lambda: call("quotactl", 0x80000100, "/nonexistent", 0, 0))
