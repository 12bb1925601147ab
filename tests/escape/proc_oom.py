# Makes others the first victims of memory shortage.
# row: own
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/proc/self/oom_score_adj", "w").write("0") and None)
