# Reads the connections of the machine.
# row: 27
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/proc/net/tcp").read() and None)
