# Advises about the memory of others.
# row: own
# bare: {"errno": 9}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("process_madvise", -1, 0, 0, 20, 0))
