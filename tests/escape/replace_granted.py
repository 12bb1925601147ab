# Replaces a module that every execution may import.
# row: 58
# bare: "escaped"
# canary: granted
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.rename(W.granted + "/module.py", W.granted + "/old.py"))
