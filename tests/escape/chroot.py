# Changes its root.
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: outcome denied chroot
# layer: seccomp

_result = attempt(lambda: call("chroot", W.outside))
