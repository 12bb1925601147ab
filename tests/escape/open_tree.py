# Holds a part of the file tree.
# row: own
# bare: "escaped"
# sandboxed: outcome denied open_tree
# layer: seccomp

_result = attempt(lambda: call("open_tree", -100, W.outside, 0))
