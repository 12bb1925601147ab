# Looks at a file's link target outside: metadata, not content.
# row: 2
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: Landlock governs opening, not looking

_result = attempt(lambda: os.readlink(W.outside + "/link") and None)
