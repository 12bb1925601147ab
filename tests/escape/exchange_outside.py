# Swaps two files outside with renameat2.
# row: 1
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: call("renameat2", -100, W.outside + "/movable", -100, W.outside + "/secret", 2))
