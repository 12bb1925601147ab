# Takes huge pages from the machine's reserve.
# row: own
# bare: {"errno": 12}
# sandboxed: errno ENOMEM
# layer: kernel

_result = attempt(lambda: map_memory(2 << 20, 3, 0x40022))
