# Puts an attribute on a file outside with the newest of the calls for it.
# row: 3
# bare: "escaped"
# sandboxed: result "no effect"
# layer: seccomp (no effect)

def act():
    value = ctypes.create_string_buffer(b"1")
    given = struct.pack("QII", ctypes.addressof(value), 1, 0)
    call("setxattrat", -100, W.outside + "/secret", 0, "user.mark", given, 16)
    return "escaped" if "user.mark" in os.listxattr(W.outside + "/secret") else "no effect"


_result = attempt(act)
