# Computes in C without ever listening to a signal.
# row: 48
# bare: n/a it never ends
# timeout: 1
# sandboxed: outcome timed_out
# layer: supervisor

_result = len(str((9 ** 9 ** 8).bit_length())) and "escaped"
