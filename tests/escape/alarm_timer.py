# Makes a timer that wakes the machine.
# row: own
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: errno EPERM
# layer: capabilities

_result = attempt(lambda: os.close(call("timerfd_create", 8, 0)))
