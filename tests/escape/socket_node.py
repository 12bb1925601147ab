# Makes a socket file in scratch.
# row: 7
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.mknod("s", stat.S_IFSOCK | 0o600))
