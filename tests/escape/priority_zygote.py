# Slows the zygote down.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: os.setpriority(os.PRIO_PROCESS, W.zygote, 19))
