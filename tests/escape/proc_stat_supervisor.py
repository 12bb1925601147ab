# Reads times and state of the supervisor.
# row: 27
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(f"/proc/{W.supervisor}/stat").read() and None)
