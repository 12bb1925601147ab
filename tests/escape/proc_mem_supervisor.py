# Opens the memory of the supervisor.
# row: 26
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock, capabilities

_result = attempt(lambda: open(f"/proc/{W.supervisor}/mem", "rb").close())
