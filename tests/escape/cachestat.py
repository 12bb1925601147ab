# Asks how much of a shared file is in memory.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("cachestat", os.open(W.granted + "/module.py", os.O_RDONLY), struct.pack("QQ", 0, 0), ctypes.create_string_buffer(40), 0))
