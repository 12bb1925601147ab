# Plants byte code beside a module that every execution may import.
# row: 58
# bare: "escaped"
# canary: granted
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(W.granted + "/module.pyc", "w").close())
