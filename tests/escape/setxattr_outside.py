# Puts an attribute on a file outside.
# row: 3
# bare: "escaped"
# sandboxed: result "no effect"
# layer: seccomp (no effect)

def act():
    os.setxattr(W.outside + "/secret", "user.mark", b"1")
    return "escaped" if "user.mark" in os.listxattr(W.outside + "/secret") else "no effect"


_result = attempt(act)
