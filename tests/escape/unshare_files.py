# Leaves the shared descriptor table.
# row: 32
# bare: "escaped"
# sandboxed: outcome denied unshare
# layer: seccomp

_result = attempt(lambda: call("unshare", 0x400))
