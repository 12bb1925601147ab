# Makes System V IPC (semget), which outlives its maker.
# row: 38
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    made = call("semget", 0, 1, 0o600)
    _c.semctl(made, 0, 0)


_result = attempt(act)
