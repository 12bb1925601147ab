# Stops itself for ever.
# row: 53
# bare: n/a it never ends
# timeout: 0.5
# sandboxed: outcome timed_out
# layer: supervisor

os.kill(os.getpid(), signal.SIGSTOP)
_result = "escaped"
