# Forks with the call whose flags no filter sees.
# row: 33
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

def act():
    pid = call("clone3", struct.pack("11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0), 88)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


_result = attempt(act)
