# Makes a symbolic link outside.
# row: 1
# bare: "escaped"
# canary: outside
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.symlink("secret", W.outside + "/made"))
