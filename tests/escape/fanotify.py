# Watches a whole file system.
# row: 4
# bare: "escaped"
# sandboxed: outcome denied fanotify_init
# layer: seccomp

_result = attempt(lambda: call("fanotify_init", 0x200, 0))
