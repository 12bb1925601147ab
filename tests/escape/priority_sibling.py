# Slows the sibling down.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: os.setpriority(os.PRIO_PROCESS, W.sibling, 19))
