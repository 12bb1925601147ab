# Runs machine code of its own: native code is within the model.
# row: 11
# bare: "escaped"
# sandboxed: accepted "escaped"
# layer: none: every limit holds against native code

def act():
    code = b"\xb8\x2a\0\0\0\xc3" if platform.machine() == "x86_64" else b"\x40\x05\x80\x52\xc0\x03\x5f\xd6"
    return "escaped" if run_bytes(code) == 42 else "not run"


_result = attempt(act)
