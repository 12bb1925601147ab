# Takes memory that counts as a stack, which no data limit counts.
# row: 47
# bare: "escaped"
# limits: {"memory_bytes": 67108864}
# sandboxed: errno EPERM
# layer: seccomp

def act():
    block = map_memory(128 << 20, 3, 0x122)
    ctypes.memset(block, 1, 128 << 20)


_result = attempt(act)
