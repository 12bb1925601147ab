# Pins the supervisor to a core.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, capabilities

_result = attempt(lambda: os.sched_setaffinity(W.supervisor, {0}))
