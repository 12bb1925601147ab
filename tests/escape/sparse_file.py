# Makes a file of a tebibyte without a byte in it.
# row: 7
# bare: "escaped"
# sandboxed: errno EFBIG
# layer: rlimit

_result = attempt(lambda: os.truncate(open("f", "w").name, 1 << 40))
