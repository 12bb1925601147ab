# Listens on the one socket there is.
# row: 14
# bare: n/a a bare process has no channel
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("listen", channel(), 1))
