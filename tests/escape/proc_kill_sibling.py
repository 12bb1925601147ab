# Kills the sibling.
# row: 25
# bare: "escaped"
# canary: sibling
# sandboxed: errno EPERM
# layer: seccomp, landlock

_result = attempt(lambda: os.kill(W.sibling, 9))
