# Makes a terminal.
# row: 45
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("/dev/ptmx", os.O_RDWR)))
