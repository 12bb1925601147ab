# Slows the supervisor down.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, capabilities

_result = attempt(lambda: os.setpriority(os.PRIO_PROCESS, W.supervisor, 19))
