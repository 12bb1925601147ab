# Sets its capabilities.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp, capabilities

_result = attempt(lambda: call("capset", struct.pack("II", 0x20080522, 0), bytes(24)))
