# Crashes.
# row: 61
# bare: {"signal": 11}
# sandboxed: outcome killed 11
# layer: supervisor

ctypes.string_at(0)
_result = "escaped"
