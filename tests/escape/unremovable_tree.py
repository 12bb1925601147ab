# Leaves directories without permissions.
# row: 7
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: supervisor: removes it whatever its modes

os.umask(0o777)
os.mkdir("locked")
open("file", "w").close()
_result = "escaped"
