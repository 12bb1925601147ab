# Calls the kernel as a 32-bit program would.
# row: 40
# bare: "escaped"
# sandboxed: outcome denied 
# layer: seccomp

_result = attempt(lambda: "escaped" if run_bytes(b"\xb8\x14\0\0\0\xcd\x80\xc3") > 0 else "refused")
