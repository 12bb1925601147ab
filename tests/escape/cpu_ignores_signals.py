# Ignores every signal there is.
# row: 48
# bare: "escaped"
# timeout: 0.5
# sandboxed: outcome timed_out
# layer: supervisor

for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
end = time.monotonic() + 2
while time.monotonic() < end:
    pass
_result = "escaped"
