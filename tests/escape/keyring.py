# Joins a keyring, which the user's processes share.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("keyctl", 0, -3, 1))
