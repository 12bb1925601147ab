# Learns which processes there are from a harmless question.
# row: 27
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: process ids are numbers that anybody can count

def act():
    # Its answer may be 0: a group that this PID namespace has no number for.
    call("getpgid", W.supervisor)


_result = attempt(act)
