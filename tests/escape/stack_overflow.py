# Overflows the stack of C.
# row: 61
# bare: {"signal": 11}
# sandboxed: outcome killed 6
# layer: supervisor

callback = ctypes.CFUNCTYPE(ctypes.c_int)
sys.setrecursionlimit(1 << 30)
code = b"\xe8\xfb\xff\xff\xff"  # call itself
run_bytes(code)
_result = "escaped"
