# Takes a descriptor out of the sibling.
# row: 24
# bare: "escaped"
# sandboxed: outcome denied pidfd_getfd
# layer: seccomp

def act():
    try:
        held = call("pidfd_open", W.sibling, 0)
    except OSError:
        held = 0
    call("pidfd_getfd", held, 0, 0)


_result = attempt(act)
