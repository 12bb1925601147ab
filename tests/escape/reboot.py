# Reboots (with a wrong password, bare).
# row: own
# bare: {"errno": 22}
# bare-unprivileged: {"errno": 1}
# sandboxed: outcome denied reboot
# layer: seccomp

_result = attempt(lambda: call("reboot", 1, 2, 3, 0))
