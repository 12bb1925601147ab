# Takes an attribute off a file outside.
# row: 3
# bare: "escaped"
# sandboxed: result "no effect"
# layer: seccomp (no effect)

def act():
    os.removexattr(W.outside + "/secret", "user.given")
    return "no effect" if "user.given" in os.listxattr(W.outside + "/secret") else "escaped"


_result = attempt(act)
