# Reads the list of users.
# row: 1
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open("/etc/passwd").close())
