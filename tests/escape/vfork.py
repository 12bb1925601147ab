# Forks as posix_spawn does.
# row: 46
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0) and None)
