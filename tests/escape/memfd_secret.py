# Makes memory that even the kernel does not map.
# row: 38
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("memfd_secret", 0))
