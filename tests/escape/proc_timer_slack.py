# Changes its timers by a file.
# row: own
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/proc/self/timerslack_ns", "w").write("1000") and None)
