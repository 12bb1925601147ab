# Calls the kernel as an x32 program would.
# row: 41
# bare: n/a the kernel here has no x32
# sandboxed: outcome denied 
# layer: seccomp

_result = attempt(lambda: call(0x40000000 | 39))
