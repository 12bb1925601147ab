# Makes a pipe for kernel notifications.
# row: own
# bare: n/a the kernel here has no notification pipes
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: os.pipe2(os.O_EXCL) and None)
