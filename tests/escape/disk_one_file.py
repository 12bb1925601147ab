# Fills the disk with one file (32 MiB bare).
# row: 50
# bare: "escaped"
# limits: {"scratch_bytes": 8388608}
# sandboxed: errno EFBIG
# layer: rlimit

def act():
    file = os.open("f", os.O_CREAT | os.O_WRONLY)
    for _ in range(32):
        os.write(file, bytes(1 << 20))


_result = attempt(act)
