# Mounts (asks for nothing, bare).
# row: own
# bare: {"errno": 14}
# sandboxed: outcome denied mount
# layer: seccomp

_result = attempt(lambda: call("mount", 0, 0, 0, 0, 0))
