# Changes its segment table.
# row: own
# bare: "escaped"
# sandboxed: outcome denied modify_ldt
# layer: seccomp

_result = attempt(lambda: call("modify_ldt", 0, ctypes.create_string_buffer(16), 16))
