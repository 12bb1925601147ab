# Locks a commonly readable file against others.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: fcntl.flock(os.open(W.granted + "/module.py", 0), fcntl.LOCK_SH))
