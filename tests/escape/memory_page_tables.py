# Reads one byte of every page table's reach: page tables count in no limit.
# row: own
# bare: "escaped"
# limits: {"memory_bytes": 67108864}
# sandboxed: outcome over_memory
# layer: watch

step, reach = 2 << 20, 512 << 30
block = map_memory(reach, 1, 0x4022)
_c.madvise(block, reach, 15)
for at in range(0, 80 << 30, step):
    ctypes.c_ubyte.from_address(block + at).value
    if at % (1 << 30) == 0:
        time.sleep(0.002)
_result = "escaped"
