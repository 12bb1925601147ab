# Changes the flags of a readable file with an ioctl.
# row: 3
# bare: "escaped"
# sandboxed: errno ENOTTY
# layer: seccomp

def act():
    fd = os.open(W.granted + "/module.py", os.O_RDONLY)
    FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, NODUMP = 0x80086601, 0x40086602, 0x40
    flags = struct.unpack("l", fcntl.ioctl(fd, FS_IOC_GETFLAGS, b"\0" * 8))[0]
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("l", flags | NODUMP))


_result = attempt(act)
