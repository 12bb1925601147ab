# Leaves a key for others.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("add_key", "user", "escape", b"x", 1, -1))
