# Lists the descriptors of the sibling.
# row: 26
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.listdir(f"/proc/{W.sibling}/fd") and None)
