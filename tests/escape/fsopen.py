# Makes a file system.
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: outcome denied fsopen
# layer: seccomp

_result = attempt(lambda: call("fsopen", "tmpfs", 0))
