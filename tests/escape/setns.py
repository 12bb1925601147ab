# Enters the namespaces of another process.
# row: 32
# bare: {"errno": 22}
# sandboxed: outcome denied setns
# layer: seccomp

_result = attempt(lambda: call("setns", 0, 0))
