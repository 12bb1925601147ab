# Renames itself through /proc.
# row: own
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/proc/self/comm", "w").write("x") and None)
