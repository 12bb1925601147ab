# Starts threads without end (sixty, bare).
# row: 46
# bare: "escaped"
# limits: {"threads": 20}
# sandboxed: outcome over_threads
# layer: watch

gate = threading.Event()
started = 0
try:
    for _ in range(60):
        threading.Thread(target=gate.wait, daemon=True).start()
        started += 1
    time.sleep(0.5)
except RuntimeError:
    pass
gate.set()
_result = "escaped" if started == 60 else "refused"
