# Sets a limit of the zygote, which Landlock does not cover.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prlimit64", W.zygote, 4, struct.pack("QQ", 0, 0), 0))
