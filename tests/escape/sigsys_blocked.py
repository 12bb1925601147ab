# Blocks SIGSYS, then asks for what only an attack asks for.
# row: own
# bare: "escaped"
# sandboxed: outcome denied 
# layer: seccomp

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSYS])
_result = attempt(lambda: call("ptrace", 0x4206, W.sibling, 0, 0))
