# Takes shared anonymous memory, which no resource limit counts.
# row: 47
# bare: "escaped"
# limits: {"memory_bytes": 67108864}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: mmap.mmap(-1, 256 << 20).write(bytes(256 << 20)) and None)
