# Replaces itself with execveat.
# row: 8
# bare: {"errno": 2}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("execveat", -100, "/nonexistent/program", (ctypes.c_char_p * 1)(None), 0, 0))
