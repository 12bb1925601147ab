# Goes into a directory outside and opens a file by its bare name.
# row: 2
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

def act():
    os.chdir(W.outside)
    open("secret").read()


_result = attempt(act)
