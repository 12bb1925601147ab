# Makes a timer that signals a thread by id.
# row: 30
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("timer_create", 0, struct.pack("QiiI", 0, 10, 4, os.getpid()) + b"\0" * 44, ctypes.c_int()))
