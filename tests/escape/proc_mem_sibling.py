# Opens the memory of the sibling.
# row: 26
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock, dumpable

_result = attempt(lambda: open(f"/proc/{W.sibling}/mem", "rb").close())
