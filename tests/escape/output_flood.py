# Writes output without end (64 MiB bare).
# row: 49
# bare: "escaped"
# sandboxed: result "escaped"
# layer: supervisor: the rest is dropped

for _ in range(64):
    os.write(1, b"x" * (1 << 20))
_result = "escaped"
