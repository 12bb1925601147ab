# Makes a socket from another thread.
# row: 62
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

out = []
thread = threading.Thread(target=lambda: out.append(attempt(lambda: call("socket", 2, 1, 0))))
thread.start()
thread.join()
_result = out[0]
