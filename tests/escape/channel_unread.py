# Makes host calls and never reads the replies, until the channel is full of them.
# row: 56
# bare: n/a a bare process has no channel
# timeout: 3
# sandboxed: outcome timed_out|protocol
# layer: supervisor

fd = channel()
keep = os.dup(fd)
ours, theirs = socket.socketpair()
os.dup2(theirs.fileno(), fd)
threading.Thread(target=lambda: attest("a", "b", "c"), daemon=True).start()
time.sleep(0.2)
frame = ours.recv(1 << 16)
while True:
    os.write(keep, frame)
    time.sleep(0.002)
_result = "escaped"
