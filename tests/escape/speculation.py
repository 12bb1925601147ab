# Switches a speculation mitigation off.
# row: own
# bare: n/a the processor here leaves no choice
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("prctl", 53, 0, 2, 0, 0))
