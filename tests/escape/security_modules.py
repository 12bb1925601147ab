# Lists the security modules of the machine.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("lsm_list_modules", ctypes.create_string_buffer(256), ctypes.c_uint32(256), 0))
