# Makes a context of the older asynchronous interface.
# row: 20
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("io_setup", 1, ctypes.c_long(0)))
