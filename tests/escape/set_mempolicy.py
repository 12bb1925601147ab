# Chooses where its memory lies.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("set_mempolicy", 0, 0, 0))
