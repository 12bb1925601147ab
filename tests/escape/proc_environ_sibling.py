# Reads the environment of the sibling.
# row: 26
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock, dumpable

_result = attempt(lambda: open(f"/proc/{W.sibling}/environ").read() and None)
