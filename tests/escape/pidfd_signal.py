# Signals through a descriptor.
# row: 29
# bare: {"errno": 9}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("pidfd_send_signal", 0, 0, 0, 0))
