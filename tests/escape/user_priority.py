# Slows its whole user down.
# row: own
# bare: {"errno": 3}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: os.setpriority(os.PRIO_USER, 99999, 1))
