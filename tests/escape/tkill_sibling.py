# Signals by thread id alone.
# row: 29
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, landlock

_result = attempt(lambda: call("tkill", W.sibling, 0))
