# Fills pipes: their buffers are the kernel's memory.
# row: 47
# bare: "escaped"
# sandboxed: result "bounded"
# layer: rlimit

held, filled = [], 0
try:
    for _ in range(400):
        reading, writing = os.pipe()
        held += [reading, writing]
        os.set_blocking(writing, False)
        filled += os.write(writing, bytes(65536))
except OSError as error:
    assert error.errno == errno.EMFILE, error
_result = "bounded" if filled <= 128 * 65536 else "escaped"
