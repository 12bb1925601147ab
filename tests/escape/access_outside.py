# Looks at a file's permissions outside: metadata, not content.
# row: 2
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: Landlock governs opening, not looking

_result = attempt(lambda: None if os.access(W.outside + "/secret", os.R_OK) else "hidden")
