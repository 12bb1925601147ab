# Takes an attribute from a file outside with the newest of the calls for it.
# row: 3
# bare: "escaped"
# sandboxed: result "no effect"
# layer: seccomp (no effect)

def act():
    call("removexattrat", -100, W.outside + "/secret", 0, "user.given")
    return "no effect" if "user.given" in os.listxattr(W.outside + "/secret") else "escaped"


_result = attempt(act)
