# Changes the disk priority of the sibling.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("ioprio_set", 1, W.sibling, 3 << 13))
