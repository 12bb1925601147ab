# Traces the zygote.
# row: 24
# bare: "escaped"
# sandboxed: outcome denied ptrace
# layer: seccomp

_result = attempt(lambda: call("ptrace", 0x4206, W.zygote, 0, 0))
