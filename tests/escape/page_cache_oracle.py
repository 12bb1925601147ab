# Asks whether others have read a part of a shared file.
# row: own
# bare: "escaped"
# sandboxed: errno EOPNOTSUPP
# layer: seccomp

def act():
    buffer = ctypes.create_string_buffer(16)
    vector = (ctypes.c_long * 2)(ctypes.addressof(buffer), 16)
    shared = os.open(os.__file__, 0)
    os.read(shared, 16)  # this time somebody has, whatever the machine did before
    call("preadv2", shared, vector, 1, 0, 0, 8)


_result = attempt(act)
