# Looks at a file's size and times outside: metadata, not content.
# row: 2
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: Landlock governs opening, not looking

_result = attempt(lambda: os.stat(W.outside + "/secret") and None)
