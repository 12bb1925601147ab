# Starts a thread that shares memory but not descriptors.
# row: own
# bare: "escaped"
# sandboxed: errno EPERM
# layer: seccomp

CLONE_VM, CLONE_SIGHAND, CLONE_THREAD = 0x100, 0x800, 0x10000


def act():
    stack = map_memory(65536, 3, 0x22) + 65536 - 64
    # mov eax,56; mov edi,flags; mov rsi,stack; xor edx,edx; xor r10,r10; xor r8,r8; syscall
    code = b"\xb8\x38\0\0\0\xbf" + struct.pack("I", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
    code += b"\x48\xbe" + struct.pack("Q", stack) + b"\x31\xd2\x4d\x31\xd2\x4d\x31\xc0\x0f\x05"
    # test rax,rax; jz the new thread; ret; the new thread: xor edi,edi; mov eax,60; syscall
    code += b"\x48\x85\xc0\x74\x01\xc3\x31\xff\xb8\x3c\0\0\0\x0f\x05"
    answer = run_bytes(code)
    if answer < 0:
        raise OSError(-answer, "clone")


_result = attempt(act)
