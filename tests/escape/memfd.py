# Makes memory that no limit counts.
# row: 38
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("memfd_create", "m", 0))
