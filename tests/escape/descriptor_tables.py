# Gives a thread a descriptor table of its own, and so a second allowance.
# row: own
# bare: "escaped"
# sandboxed: errno EINVAL
# layer: seccomp

_result = attempt(lambda: call("close_range", 1000, 1001, 2))
