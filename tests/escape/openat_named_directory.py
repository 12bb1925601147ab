# Opens a file relative to a directory it may only name.
# row: 23
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("secret", os.O_RDONLY, dir_fd=os.open(W.outside, os.O_PATH))))
