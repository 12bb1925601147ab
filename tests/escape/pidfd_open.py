# Holds the sibling by a descriptor.
# row: 29
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("pidfd_open", W.sibling, 0))
