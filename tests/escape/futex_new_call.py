# Wakes with the newer call for it, which old filters forget.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

word = ctypes.c_uint32(0)
_result = attempt(lambda: call("futex_wake", word, 0xFFFFFFFF, 1, 0x82))
