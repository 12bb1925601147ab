# Reads the memory of the sibling.
# row: 24
# bare: "escaped"
# sandboxed: outcome denied process_vm_readv
# layer: seccomp

_result = attempt(lambda: call("process_vm_readv", W.sibling, 0, 0, 0, 0, 0))
