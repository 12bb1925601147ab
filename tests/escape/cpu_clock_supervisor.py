# Reads how much processor time the supervisor has used: a channel, and an eye on others.
# row: own
# bare: "escaped"
# sandboxed: errno EINVAL
# layer: seccomp

_result = attempt(lambda: call("clock_gettime", (~W.supervisor << 3) | 2, ctypes.create_string_buffer(16)))
