# Asks which pages of a shared file are in memory.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("mincore", map_memory(4096, 3, 0x22), 4096, ctypes.create_string_buffer(1)))
