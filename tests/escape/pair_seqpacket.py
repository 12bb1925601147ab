# Makes a pair that is not a stream.
# row: 19
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socketpair", 1, 5, 0, (ctypes.c_int * 2)()))
