# Takes shared memory by way of a device, which is not called anonymous.
# row: 47
# bare: "escaped"
# limits: {"memory_bytes": 67108864}
# sandboxed: errno EACCES
# layer: landlock

def act():
    zero = os.open("/dev/zero", os.O_RDWR)
    ctypes.memset(map_memory(128 << 20, 3, 0x1, zero), 1, 128 << 20)


_result = attempt(act)
