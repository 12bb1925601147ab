# Asks whether it may signal the supervisor.
# row: 29
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock

_result = attempt(lambda: os.kill(W.supervisor, 0))
