# Lists the descriptors of the supervisor.
# row: 26
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.listdir(f"/proc/{W.supervisor}/fd") and None)
