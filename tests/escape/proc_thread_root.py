# Reads a file outside by the link that a thread has to its directory.
# row: 23
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open(f"/proc/self/task/{threading.get_native_id()}/root" + W.outside + "/secret", os.O_RDONLY)))
