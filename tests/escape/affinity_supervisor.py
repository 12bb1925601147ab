# Pins the supervisor to a core.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: os.sched_setaffinity(W.supervisor, {0}))
