# Reads the mounts of the machine.
# row: own
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/proc/self/mountinfo").read() and None)
