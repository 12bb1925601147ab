# Opens a file outside from another thread.
# row: 62
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

out = []
thread = threading.Thread(target=lambda: out.append(attempt(lambda: open(W.outside + "/secret").close())))
thread.start()
thread.join()
_result = out[0]
