# Learns which processes there are from a harmless question.
# row: 27
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: process ids are numbers that anybody can count

def act():
    return "escaped" if call("getpgid", W.supervisor) else "nothing"


_result = attempt(act)
