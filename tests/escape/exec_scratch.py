# Writes a program into scratch and runs it.
# row: 9
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

def act():
    with open("program", "w") as file:
        file.write("#!/bin/sh\nexit 0\n")
    os.chmod("program", 0o700)
    if os.spawnv(os.P_WAIT, "./program", ["program"]):
        raise OSError(errno.ENOEXEC, "it did not run")


_result = attempt(act)
