# Swaps the root.
# row: own
# bare: {"errno": 2}
# bare-unprivileged: {"errno": 1}
# sandboxed: outcome denied pivot_root
# layer: seccomp

_result = attempt(lambda: call("pivot_root", "/nonexistent", "/nonexistent"))
