# Adjusts the clock (asks, bare).
# row: 55
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("adjtimex", ctypes.create_string_buffer(208)))
