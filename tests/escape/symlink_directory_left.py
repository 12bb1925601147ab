# Leaves a link to a directory outside for the clean-up to follow.
# row: 5
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: supervisor: removes links, never follows them

os.mkdir("d")
os.symlink(W.outside, "d/link")
os.symlink(W.outside + "/empty", "d/link2")
_result = "escaped"
