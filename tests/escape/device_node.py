# Makes a device for the memory of the machine.
# row: 7
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.mknod("mem", stat.S_IFCHR | 0o600, os.makedev(1, 1)))
