# Makes System V IPC (msgget), which outlives its maker.
# row: 38
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    made = call("msgget", 0, 0o600)
    _c.msgctl(made, 0, None)


_result = attempt(act)
