# Lists the descriptors of the zygote.
# row: 26
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.listdir(f"/proc/{W.zygote}/fd") and None)
