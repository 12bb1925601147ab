# Takes shared memory and unmaps each page at once: it stays, and counts nowhere.
# row: own
# bare: "escaped"
# limits: {"memory_bytes": 67108864}
# sandboxed: errno EPERM
# layer: seccomp

def act():
    block = map_memory(256 << 20, 3, 0x21)
    for at in range(0, 256 << 20, 1 << 20):
        ctypes.memset(block + at, 1, 1 << 20)
        _c.madvise(block + at, 1 << 20, 4)
        time.sleep(0.002)
    return "escaped" if ctypes.c_ubyte.from_address(block).value == 1 else "gone"


_result = attempt(act)
