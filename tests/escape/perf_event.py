# Counts and samples with the profiler.
# row: 34
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("perf_event_open", struct.pack("IIQQQQQ", 1, 64, 0, 0, 0, 0, 0x60) + b"\0" * 16, 0, -1, -1, 0))
