# Adds swap that is not there.
# row: own
# bare: {"errno": 2}
# bare-unprivileged: {"errno": 1}
# sandboxed: outcome denied swapon
# layer: seccomp

_result = attempt(lambda: call("swapon", "/nonexistent", 0))
