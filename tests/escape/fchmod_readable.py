# Changes the mode of a readable file through its descriptor.
# row: 3
# bare: "escaped"
# canary: granted
# sandboxed: result "no effect"
# layer: seccomp (no effect)

_result = attempt(lambda: changed(W.granted + "/module.py", lambda s: s.st_mode, lambda: os.fchmod(os.open(W.granted + "/module.py", 0), 0o604)))
