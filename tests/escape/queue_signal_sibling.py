# Signals with a value and a forged sender.
# row: 29
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock

_result = attempt(lambda: call("rt_sigqueueinfo", W.sibling, 0, struct.pack("iii", 0, 0, -1) + b"\0" * 116))
