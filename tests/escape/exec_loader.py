# Asks the dynamic loader to run something.
# row: 9
# bare: {"errno": 14}
# sandboxed: errno EPERM
# layer: seccomp

_result = attempt(lambda: call("execve", "/lib64/ld-linux-x86-64.so.2", 0, 0x10))
