# Opens again through /proc what it may only name.
# row: 23
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(f"/proc/self/fd/{os.open(W.outside + '/secret', os.O_PATH)}").read() and None)
