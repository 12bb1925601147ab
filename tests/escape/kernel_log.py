# Reads the log of the kernel.
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("syslog", 10, 0, 0))
