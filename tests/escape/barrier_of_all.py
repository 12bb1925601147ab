# Interrupts every processor of the machine.
# row: own
# bare: "escaped"
# sandboxed: errno EINVAL
# layer: seccomp

_result = attempt(lambda: call("membarrier", 1, 0, 0))
