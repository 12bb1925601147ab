# Locks memory.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, rlimit

_result = attempt(lambda: call("mlock", map_memory(4096, 3, 0x22), 4096))
