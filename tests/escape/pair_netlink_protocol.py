# Makes a stream pair with a protocol.
# row: 19
# bare: {"errno": 93}
# sandboxed: errno EPROTONOSUPPORT
# layer: kernel

_result = attempt(lambda: call("socketpair", 1, 1, 99, (ctypes.c_int * 2)()))
