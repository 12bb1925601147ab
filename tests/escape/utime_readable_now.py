# Touches a readable file through its descriptor.
# row: 3
# bare: "escaped"
# canary: granted
# sandboxed: result "no effect"
# layer: seccomp (no effect)

_result = attempt(lambda: changed(W.granted + "/module.py", lambda s: s.st_mtime_ns, lambda: os.utime(os.open(W.granted + "/module.py", 0))))
