# Maps its pages into a pipe.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("vmsplice", os.pipe()[1], (ctypes.c_long * 2)(map_memory(4096, 3, 0x22), 4096), 1, 0))
