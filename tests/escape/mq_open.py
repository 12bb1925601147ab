# Opens a message queue by name.
# row: 38
# bare: {"errno": 2}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("mq_open", "escape-none", 0, 0, 0))
