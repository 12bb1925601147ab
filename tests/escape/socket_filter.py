# Puts a packet filter on a socket: code in the kernel.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

ours, theirs = socket.socketpair()
program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
option = struct.pack("HxxxxxxQ", 1, ctypes.addressof(program))
_result = attempt(lambda: ours.setsockopt(socket.SOL_SOCKET, 26, option))
