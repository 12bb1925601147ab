# Makes a ring, whose requests no filter sees.
# row: 20
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("io_uring_setup", 4, ctypes.create_string_buffer(120)))
