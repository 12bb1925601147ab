# Writes its own read-only memory through /proc.
# row: own
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/proc/self/mem", "r+b").close())
