# Sets its own limits.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prlimit64", 0, 4, struct.pack("QQ", 0, 0), 0))
