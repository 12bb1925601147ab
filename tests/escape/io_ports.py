# Asks for the machine's ports.
# row: own
# bare: n/a the kernel here has no port access
# sandboxed: outcome denied iopl
# layer: seccomp

_result = attempt(lambda: call("iopl", 3))
