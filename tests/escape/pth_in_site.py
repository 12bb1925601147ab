# Plants a .pth file where later interpreters would run it.
# row: 58
# bare: "escaped"
# canary: granted
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(W.granted + "/x.pth", "w").write("import os") and None)
