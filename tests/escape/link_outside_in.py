# Makes a hard link in scratch to a file outside.
# row: 6
# bare: "escaped"
# sandboxed: errno EXDEV
# layer: landlock, kernel

_result = attempt(lambda: os.link(W.outside + "/secret", "linked"))
