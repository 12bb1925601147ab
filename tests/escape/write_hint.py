# Tells the disk how long a file of others will live.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: fcntl.fcntl(os.open(W.leasable, os.O_RDONLY), 1036, struct.pack("Q", 5)) and None)
