# Reads a file outside by the link to its own root.
# row: 23
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("/proc/self/root" + W.outside + "/secret", os.O_RDONLY)))
