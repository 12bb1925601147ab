# Resets what the kernel knows of its memory.
# row: own
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/proc/self/clear_refs", "w").write("1") and None)
