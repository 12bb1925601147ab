# Stops the kernel in the middle of a copy.
# row: 34
# bare: "escaped"
# sandboxed: outcome denied userfaultfd
# layer: seccomp

_result = attempt(lambda: call("userfaultfd", 1))
