# Reads shared memory of a device into being, page after page, and lets go of each.
# row: 47
# bare: "nothing"
# sandboxed: result "nothing"
# layer: kernel

def act():
    zero = os.open("/dev/zero", os.O_RDONLY)
    block = map_memory(512 << 20, 1, 0x1, zero)
    before = int(open("/proc/meminfo").read().split("Shmem:")[1].split()[0])
    for at in range(0, 512 << 20, 4096):
        ctypes.c_ubyte.from_address(block + at).value
    grown = int(open("/proc/meminfo").read().split("Shmem:")[1].split()[0]) - before
    return "escaped" if grown > 256 << 10 else "nothing"


_result = attempt(act)
