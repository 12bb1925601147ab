# Makes System V IPC (shmget), which outlives its maker.
# row: 38
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    made = call("shmget", 0, 4096, 0o600)
    _c.shmctl(made, 0, None)


_result = attempt(act)
