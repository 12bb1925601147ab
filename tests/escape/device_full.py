# Opens a device that is not on the list.
# row: own
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("/dev/full", os.O_RDWR)))
