# Reads times and state of the zygote.
# row: 27
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: open(f"/proc/{W.zygote}/stat").read() and None)
