# Burns more processor time than it has, on all cores.
# row: 48
# bare: "escaped"
# limits: {"cpu_secs": 1}
# sandboxed: outcome over_cpu
# layer: rlimit, watch

import hashlib


def burn():
    end = time.thread_time() + 1
    while time.thread_time() < end:
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 20000)


threads = [threading.Thread(target=burn) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
_result = "escaped"
