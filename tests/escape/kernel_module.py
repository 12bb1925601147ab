# Loads a kernel module (an empty one).
# row: own
# bare: n/a it needs a module made for this kernel
# sandboxed: outcome denied init_module
# layer: seccomp

_result = attempt(lambda: call("init_module", 0, 0, ""))
