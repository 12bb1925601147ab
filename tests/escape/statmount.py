# Describes the mounts of the machine.
# row: own
# bare: {"errno": 22}
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("statmount", struct.pack("IIQQQ", 32, 0, 0, 1, 0), 32, ctypes.create_string_buffer(512), 512, 0))
