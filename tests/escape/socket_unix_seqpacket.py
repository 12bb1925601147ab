# Makes a socket of the family or protocol unix_seqpacket.
# row: 19
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 1, 5, 0))
