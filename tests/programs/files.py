# Everything that os, shutil and tempfile do with files.
import array, fcntl, os, shutil, tempfile, termios


def refused(act):
    try:
        act()
    except OSError:
        pass


open("a", "w").write("x" * 100000)
fd = os.open("a", os.O_RDWR)
os.lseek(fd, 10, 0)
os.pread(fd, 5, 0), os.pwrite(fd, b"hello", 3)
os.readv(fd, [bytearray(5)]), os.writev(fd, [b"a", b"b"])
os.preadv(fd, [bytearray(5)], 0), os.pwritev(fd, [b"hello"], 0)
refused(lambda: os.preadv(fd, [bytearray(4)], 0, os.RWF_HIPRI))
refused(lambda: os.pwritev(fd, [b"x"], 0, os.RWF_SYNC))
os.ftruncate(fd, 50), os.truncate("a", 40)
os.fsync(fd), os.fdatasync(fd)
os.posix_fallocate(fd, 0, 4096), os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
os.dup(fd), os.dup2(fd, 40), os.dup2(fd, 41, False), os.closerange(40, 50)

os.mkdir("d"), os.rename("a", "d/a"), os.replace("d/a", "b"), os.link("b", "c"), os.symlink("b", "s")
os.readlink("s"), os.lstat("s"), os.access("b", os.R_OK), os.access("b", os.R_OK, effective_ids=True)
at = os.open("d", os.O_RDONLY)
os.rename("b", "e", dst_dir_fd=at), os.stat("e", dir_fd=at), os.access("e", os.R_OK, dir_fd=at)
os.mkdir("x", dir_fd=at), os.rmdir("x", dir_fd=at)
os.symlink("e", "l", dir_fd=at), os.readlink("l", dir_fd=at), os.unlink("l", dir_fd=at)
os.link("e", "k", src_dir_fd=at, dst_dir_fd=at), os.open("e", os.O_RDONLY, dir_fd=at)
os.mkfifo("f", dir_fd=at), os.mkfifo("f"), os.mknod("node")
os.listdir("."), list(os.scandir("d")), os.getcwd(), os.umask(0o22)
os.chdir("d"), os.fchdir(at), os.chdir("..")
os.statvfs("."), os.fstatvfs(fd), shutil.disk_usage(".")

shutil.copyfile("c", "cc"), shutil.copy2("c", "c2")
shutil.copytree("d", "dd", symlinks=True, ignore=lambda *_: ["f", "e"]), shutil.rmtree("dd")
refused(lambda: os.getxattr("c", "user.x"))
refused(lambda: os.getxattr(fd, "user.x"))
refused(lambda: os.getxattr("s", "user.x", follow_symlinks=False))
os.listxattr("c"), os.listxattr(fd), os.listxattr("c", follow_symlinks=False)
source, target = os.open("c", os.O_RDONLY), os.open("copy", os.O_CREAT | os.O_WRONLY)
os.copy_file_range(source, target, 10), os.sendfile(target, source, 0, 10)
os.unlink("c")
with tempfile.TemporaryFile() as file:
    file.write(b"x")
with tempfile.TemporaryDirectory() as directory:
    open(directory + "/x", "w").close()
fcntl.fcntl(fd, fcntl.F_GETFL), fcntl.lockf(fd, fcntl.LOCK_EX)
os.isatty(fd), os.set_blocking(fd, True), os.set_inheritable(fd, True)
refused(os.get_terminal_size)
r, w = os.pipe()
fcntl.ioctl(r, termios.FIONREAD, array.array("i", [0])), os.pipe2(os.O_CLOEXEC)
_result = "done"
