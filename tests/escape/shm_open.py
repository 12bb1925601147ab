# Makes shared memory by name.
# row: 38
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

def act():
    name = f"/dev/shm/escape-{os.getpid()}"
    os.close(os.open(name, os.O_CREAT | os.O_RDWR, 0o600))
    os.unlink(name)


_result = attempt(act)
