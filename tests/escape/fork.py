# Forks.
# row: 46
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


_result = attempt(act)
