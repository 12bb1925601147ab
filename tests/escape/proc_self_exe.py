# Opens the plugin's own binary by the link to it.
# row: 23
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

_result = attempt(lambda: os.close(os.open("/proc/self/exe", os.O_RDONLY)))
