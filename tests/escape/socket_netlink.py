# Makes a socket of the family or protocol netlink.
# row: 19
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("socket", 16, 3, 0))
