# Looks at a file's handle outside: metadata, not content.
# row: 2
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: Landlock governs opening, not looking

_result = attempt(lambda: os.close(os.open(W.outside + "/secret", os.O_PATH)))
