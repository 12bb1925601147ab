# Holds a part of the file tree with the newest of the calls for it.
# row: own
# bare: "escaped"
# sandboxed: outcome denied open_tree_attr
# layer: seccomp

_result = attempt(lambda: call("open_tree_attr", -100, W.outside, 0, 0, 0))
