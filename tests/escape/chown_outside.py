# Gives a file outside to somebody else.
# row: 3
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# canary: outside
# sandboxed: result "no effect"
# layer: seccomp (no effect)

_result = attempt(lambda: changed(W.outside + "/secret", lambda s: s.st_gid, lambda: os.chown(W.outside + "/secret", -1, 12345)))
