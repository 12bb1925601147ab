# Unmounts what is not mounted.
# row: own
# bare: {"errno": 2}
# sandboxed: outcome denied umount2
# layer: seccomp

_result = attempt(lambda: call("umount2", "/nonexistent", 0))
