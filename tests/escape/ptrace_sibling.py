# Traces the sibling.
# row: 25
# bare: "escaped"
# sandboxed: outcome denied ptrace
# layer: seccomp

_result = attempt(lambda: call("ptrace", 0x4206, W.sibling, 0, 0))
