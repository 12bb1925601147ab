# Replaces the handler that reports refusals.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("rt_sigaction", signal.SIGSYS, ctypes.create_string_buffer(32), 0, 8))
