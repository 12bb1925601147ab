# Makes one pipe hold much more.
# row: 47
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: fcntl.fcntl(os.pipe()[1], 1031, 1 << 20))
