# Aborts.
# row: 61
# bare: {"signal": 6}
# sandboxed: outcome killed 6
# layer: supervisor

os.abort()
_result = "escaped"
