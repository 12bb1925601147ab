# Stops the kernel in the middle of a copy, by way of a device.
# row: 34
# bare: "escaped"
# bare-unprivileged: {"errno": 13}
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("/dev/userfaultfd", os.O_RDWR)))
