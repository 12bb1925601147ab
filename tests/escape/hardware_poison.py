# Declares a page of the machine broken.
# row: own
# bare: n/a it would take a page from the machine until it starts anew
# sandboxed: errno EINVAL
# layer: seccomp

_result = attempt(lambda: call("madvise", map_memory(4096, 3, 0x22), 4096, 100))
