# Slows its whole process group down.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: os.setpriority(os.PRIO_PGRP, 0, os.getpriority(os.PRIO_PROCESS, 0)))
