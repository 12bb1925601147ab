# Makes a user namespace, where it would be root.
# row: 32
# bare: "escaped"
# sandboxed: outcome denied unshare
# layer: seccomp

_result = attempt(lambda: call("unshare", 0x10000000))
