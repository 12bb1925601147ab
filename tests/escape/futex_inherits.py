# Locks with a lock that lends its priority, a part of the kernel where many bugs were.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

word = ctypes.c_uint32(0)
_result = attempt(lambda: call("futex", word, 8 | 128, 0, 0, 0, 0))
