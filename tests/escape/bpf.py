# Loads code into the kernel.
# row: 34
# bare: "escaped"
# bare-unprivileged: {"errno": 1}
# sandboxed: outcome denied bpf
# layer: seccomp

_result = attempt(lambda: call("bpf", 0, struct.pack("IIII", 2, 4, 4, 1) + b"\0" * 112, 128))
