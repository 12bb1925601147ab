# Opens a setting of the kernel for writing.
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 13}
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)))
