# Asks for a call that no kernel has.
# row: own
# bare: {"errno": 38}
# sandboxed: errno ENOSYS
# layer: seccomp

_result = attempt(lambda: call(599))
