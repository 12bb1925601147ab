# Makes a file outside with creat(2), which old filters forget.
# row: 1
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

def act():
    fd = _c.creat(os.fsencode(W.outside + "/made"), 0o600)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "creat")


_result = attempt(act)
