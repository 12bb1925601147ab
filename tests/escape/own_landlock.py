# Makes Landlock rules of its own.
# row: 43
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("landlock_create_ruleset", struct.pack("Q", 1), 8, 0))
