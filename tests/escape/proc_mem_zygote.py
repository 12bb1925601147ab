# Opens the memory of the zygote.
# row: 26
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock, dumpable

_result = attempt(lambda: open(f"/proc/{W.zygote}/mem", "rb").close())
