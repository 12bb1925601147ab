# Swaps a directory for a link to the outside while opening through it.
# row: 6
# bare: "escaped"
# sandboxed: errno EACCES
# layer: landlock

os.mkdir("real")
open("real/secret", "w").write("own")
os.symlink(W.outside, "fake")
os.rename("real", "now")
stop = time.monotonic() + 0.5


def swap():
    while time.monotonic() < stop:
        call("renameat2", -100, "now", -100, "fake", 2)


def act():
    thread = threading.Thread(target=swap)
    thread.start()
    refused = None
    while time.monotonic() < stop:
        try:
            if open("now/secret").read() != "own":
                return "escaped"
        except OSError as error:
            refused = error
    thread.join()
    if refused:
        raise refused
    return "never met"


_result = attempt(act)
