# Takes memory from the kernel.
# row: 47
# bare: "escaped"
# limits: {"memory_bytes": 67108864}
# sandboxed: errno ENOMEM
# layer: rlimit

_result = attempt(lambda: ctypes.memset(map_memory(256 << 20, 3, 0x22), 1, 256 << 20) and None)
