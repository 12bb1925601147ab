# Sets a limit of the supervisor, which Landlock does not cover.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prlimit64", W.supervisor, 4, struct.pack("QQ", 0, 0), 0))
