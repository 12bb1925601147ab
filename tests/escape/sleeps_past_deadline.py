# Sleeps in the kernel past its deadline.
# row: 55
# bare: "escaped"
# timeout: 0.5
# sandboxed: outcome timed_out
# layer: supervisor

time.sleep(2)
_result = "escaped"
