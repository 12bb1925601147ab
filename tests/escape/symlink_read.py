# Reads a file outside through a link in scratch.
# row: 5
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

def act():
    os.symlink(W.outside + "/secret", "link")
    open("link").read()


_result = attempt(act)
