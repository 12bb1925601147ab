# Takes memory from Python.
# row: 47
# bare: "escaped"
# limits: {"memory_bytes": 67108864}
# sandboxed: outcome over_memory
# layer: rlimit, watch

kept = [bytearray(1 << 20) for _ in range(256)]
_result = "escaped"
