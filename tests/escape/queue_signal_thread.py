# Signals a thread with a value.
# row: 29
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock

_result = attempt(lambda: call("rt_tgsigqueueinfo", W.sibling, W.sibling, 0, struct.pack("iii", 0, 0, -1) + b"\0" * 116))
