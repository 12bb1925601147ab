# Traces the supervisor.
# row: 24
# bare: "escaped"
# sandboxed: outcome denied ptrace
# layer: seccomp

_result = attempt(lambda: call("ptrace", 0x4206, W.supervisor, 0, 0))
