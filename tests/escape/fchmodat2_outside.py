# Changes a mode with the newest of the calls for it.
# row: 3
# bare: "escaped"
# canary: outside
# sandboxed: result "no effect"
# layer: seccomp (no effect)

_result = attempt(lambda: changed(W.outside + "/secret", lambda s: s.st_mode, lambda: call("fchmodat2", -100, W.outside + "/secret", 0o604, 0)))
