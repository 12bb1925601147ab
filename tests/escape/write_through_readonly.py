# Opens a readable file for writing through /proc.
# row: 23
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(f"/proc/self/fd/{os.open(W.granted + '/module.py', os.O_RDONLY)}", "a").close())
