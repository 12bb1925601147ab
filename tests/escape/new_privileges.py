# Looks whether setuid programs would still raise it.
# row: own
# bare: "escaped"
# sandboxed: result "nothing"
# layer: process

_result = "nothing" if "NoNewPrivs:\t1" in open("/proc/self/status").read() else "escaped"
