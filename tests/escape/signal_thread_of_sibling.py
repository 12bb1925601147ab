# Signals a thread of the sibling.
# row: 29
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock

_result = attempt(lambda: call("tgkill", W.sibling, W.sibling, 0))
