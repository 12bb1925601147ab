# Forks into a user namespace.
# row: 32
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    pid = call("clone", 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


_result = attempt(act)
