# Reads the command line of the supervisor.
# row: 27
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(f"/proc/{W.supervisor}/cmdline").read() and None)
