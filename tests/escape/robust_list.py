# Reads where the sibling keeps its locks.
# row: 24
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock, dumpable

_result = attempt(lambda: call("get_robust_list", W.sibling, ctypes.c_long(), ctypes.c_long()))
