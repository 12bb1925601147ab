# Asks the kernel to run its key helper.
# row: own
# bare: {"errno": 126}
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("request_key", "user", "escape-none", 0, 0))
