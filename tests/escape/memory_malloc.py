# Takes memory from C.
# row: 47
# bare: "escaped"
# limits: {"memory_bytes": 67108864}
# sandboxed: result {"errno": 12}
# layer: rlimit

_c.malloc.restype = ctypes.c_void_p
_c.malloc.argtypes = [ctypes.c_size_t]


def act():
    for _ in range(256):
        block = _c.malloc(1 << 20)
        if not block:
            raise OSError(errno.ENOMEM, "malloc")
        ctypes.memset(block, 1, 1 << 20)


_result = attempt(act)
