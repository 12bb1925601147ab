# Invites a tracer.
# row: own
# bare: n/a the kernel here has no Yama
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 0x59616d61, -1, 0, 0, 0))
