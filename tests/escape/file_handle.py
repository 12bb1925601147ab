# Prepares opening a file past every path check.
# row: 39
# bare: "escaped"
# sandboxed: outcome denied name_to_handle_at
# layer: seccomp

_result = attempt(lambda: call("name_to_handle_at", -100, W.granted, struct.pack("II", 128, 0) + b"\0" * 128, ctypes.c_int(), 0))
