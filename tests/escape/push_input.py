# Types into the terminal of its starter.
# row: 45
# bare: n/a the bare run has no terminal either
# sandboxed: errno ENOTTY
# layer: no terminal

_result = attempt(lambda: fcntl.ioctl(0, 0x5412, b"x") and None)
