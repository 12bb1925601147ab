# Looks for a map of users to write.
# row: 32
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("/proc/self/uid_map", os.O_WRONLY)))
