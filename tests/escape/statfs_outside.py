# Looks at a file's file system outside: metadata, not content.
# row: 2
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: Landlock governs opening, not looking

_result = attempt(lambda: os.statvfs(W.outside) and None)
