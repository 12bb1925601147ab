# Changes the scheduling of the sibling.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("sched_setattr", W.sibling, struct.pack("IIQiIQQQ", 48, 0, 0, 5, 0, 0, 0, 0), 0))
