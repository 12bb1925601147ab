# Runs a program from memory that has no path.
# row: 8
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    fd = call("memfd_create", "m", 0)
    os.write(fd, open("/bin/true", "rb").read())
    pid = os.fork()
    if pid == 0:
        call("execveat", fd, "", (ctypes.c_char_p * 2)(b"true", None), 0, 0x1000)
        os._exit(9)
    return "escaped" if os.waitpid(pid, 0)[1] == 0 else "not run"


_result = attempt(act)
