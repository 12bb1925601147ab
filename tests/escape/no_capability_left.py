# Looks for a capability that root left.
# row: own
# bare: "escaped"
# bare-unprivileged: "nothing"
# sandboxed: result "nothing"
# layer: capabilities

lines = [line for line in open("/proc/self/status") if line.startswith("Cap")]
_result = "escaped" if any(int(line.split()[1], 16) for line in lines if not line.startswith("CapBnd")) else "nothing"
