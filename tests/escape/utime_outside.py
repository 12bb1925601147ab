# Changes the times of a file outside.
# row: 3
# bare: "escaped"
# canary: outside
# sandboxed: result "no effect"
# layer: seccomp (no effect)

_result = attempt(lambda: changed(W.outside + "/secret", lambda s: s.st_mtime, lambda: os.utime(W.outside + "/secret", (1, 1))))
