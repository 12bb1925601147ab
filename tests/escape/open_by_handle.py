# Opens a file past every path check.
# row: 39
# bare: n/a a valid handle of another file is needed
# sandboxed: outcome denied open_by_handle_at
# layer: seccomp

_result = attempt(lambda: call("open_by_handle_at", -100, struct.pack("II", 8, 1) + b"\0" * 8, 0))
