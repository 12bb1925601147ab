# Lets the kernel merge its memory with that of others: a clock on their secrets.
# row: own
# bare: "escaped"
# sandboxed: errno EINVAL
# layer: seccomp

def act():
    ctypes.set_errno(0)
    if _c.madvise(map_memory(1 << 20, 3, 0x22), 1 << 20, 12):
        raise OSError(ctypes.get_errno(), "madvise")


_result = attempt(act)
