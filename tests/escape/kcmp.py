# Compares descriptors with the sibling.
# row: 24
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock, dumpable

_result = attempt(lambda: call("kcmp", os.getpid(), W.sibling, 2, 0, 0))
