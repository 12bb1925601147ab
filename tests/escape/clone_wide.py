# Forks with bits above those that the kernel reads.
# row: 32
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    pid = call("clone", 17 | 1 << 33, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


_result = attempt(act)
