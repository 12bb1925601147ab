# Writes into the log of the kernel (nothing, bare).
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 13}
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("/dev/kmsg", os.O_WRONLY)))
