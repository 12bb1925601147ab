# Chooses what a core file of it would hold.
# row: own
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/proc/self/coredump_filter", "w").write("1") and None)
