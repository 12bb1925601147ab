# Uses up the signals that the whole user may have queued.
# row: own
# bare: "escaped"
# sandboxed: result "bounded"
# layer: rlimit

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN + 1])
queued = 0
for _ in range(3000):
    if _c.sigqueue(os.getpid(), signal.SIGRTMIN + 1, ctypes.c_void_p(1)) and _c.kill(os.getpid(), signal.SIGRTMIN + 1):
        break
lines = open("/proc/self/status").read().splitlines()
queued = next(int(line.split()[1].split("/")[0]) for line in lines if line.startswith("SigQ"))
_result = "escaped" if queued > 2000 else "bounded"
