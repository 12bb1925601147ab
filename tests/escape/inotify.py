# Watches who opens shared files.
# row: 4
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("inotify_init1", 0))
