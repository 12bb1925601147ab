# Makes its timers finer than those of others.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 29, 1, 0, 0, 0))
