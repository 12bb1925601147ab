# Lists the mounts of the machine.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("listmount", struct.pack("IIQQQ", 24, 0, 0xFFFFFFFFFFFFFFFF, 0, 0), ctypes.create_string_buffer(4096), 512, 0))
