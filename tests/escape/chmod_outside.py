# Changes the mode of a file outside.
# row: 3
# bare: "escaped"
# canary: outside
# sandboxed: result "no effect"
# layer: seccomp (no effect)

_result = attempt(lambda: changed(W.outside + "/secret", lambda s: s.st_mode, lambda: os.chmod(W.outside + "/secret", 0o604)))
