# Reads times and state of the sibling.
# row: 27
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(f"/proc/{W.sibling}/stat").read() and None)
