# Leaves its session and its group to survive.
# row: 51
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    call("setpgid", 0, 0) if "PYTHON_ESCAPE" in os.environ else None
    call("setsid")


_result = attempt(act)
