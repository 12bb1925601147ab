# Looks at a file's attributes outside: metadata, not content.
# row: 2
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: Landlock governs opening, not looking

_result = attempt(lambda: os.listxattr(W.outside + "/secret") and None)
