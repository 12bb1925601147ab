# Signals everybody (asks, with signal 0).
# row: 29
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock

_result = attempt(lambda: os.kill(-1, 0))
