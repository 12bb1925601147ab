# Makes memory that nobody can give back.
# row: own
# bare: "escaped"
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call("mseal", map_memory(4096, 3, 0x22), 4096, 0))
