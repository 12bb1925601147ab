# Writes to both streams past Python.
# row: 49
# bare: "escaped"
# sandboxed: result "escaped"
# layer: supervisor: the rest is dropped

block = b"y" * (1 << 20)
for _ in range(16):
    for fd in (1, 2):
        rest = block
        while rest:
            rest = rest[os.write(fd, rest):]
_result = "escaped"
