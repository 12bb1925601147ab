# Reads the priority of the sibling, which that one can change: a channel.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: os.getpriority(os.PRIO_PROCESS, W.sibling) and None)
