"""What every attack is given; the runner puts this file in front of each.

`W` describes the world: a directory outside every granted path, a readable one, the ids of other
processes, listening sockets. `attempt` turns an act into `_result`: "escaped" when it succeeded,
the act's own word when it returns one, the error number when the system refused.
"""

import ctypes, errno, fcntl, json, mmap, os, platform, select, signal, socket, stat, struct, sys
import threading, time
from types import SimpleNamespace

W = SimpleNamespace(**json.loads("""@WORLD@"""))
_c = ctypes.CDLL(None, use_errno=True)
_c.syscall.restype = ctypes.c_long
_c.mmap.restype = ctypes.c_void_p
_c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_c.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_NR = {  # name: (x86_64, aarch64); -1 where there is none
    "accept4": (288, 242),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bind": (49, 200),
    "bpf": (321, 280),
    "cachestat": (451, 451),
    "capset": (126, 91),
    "chmod": (90, -1),
    "chroot": (161, 51),
    "clock_gettime": (228, 113),
    "clone": (56, 220),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "connect": (42, 203),
    "delete_module": (176, 106),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fanotify_init": (300, 262),
    "fchmod": (91, 52),
    "fchmodat2": (452, 452),
    "fchownat": (260, 54),
    "fcntl": (72, 25),
    "flock": (73, 32),
    "fork": (57, -1),
    "fremovexattr": (199, 16),
    "fsopen": (430, 430),
    "futex": (202, 98),
    "futex_wake": (454, 454),
    "get_robust_list": (274, 100),
    "getpgid": (121, 155),
    "getpriority": (140, 141),
    "getsockopt": (55, 209),
    "init_module": (175, 105),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "landlock_create_ruleset": (444, 444),
    "listen": (50, 201),
    "listmount": (458, 458),
    "lookup_dcookie": (212, 18),
    "lsm_list_modules": (461, 461),
    "madvise": (28, 233),
    "membarrier": (324, 283),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mincore": (27, 232),
    "mlock": (149, 228),
    "mlockall": (151, 230),
    "mmap": (9, 222),
    "modify_ldt": (154, -1),
    "mount": (165, 40),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "mseal": (462, 462),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "openat": (257, 56),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "preadv2": (327, 286),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "removexattrat": (466, 466),
    "renameat2": (316, 276),
    "request_key": (249, 218),
    "rt_sigaction": (13, 134),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "sendmmsg": (307, 269),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "set_mempolicy": (238, 237),
    "setns": (308, 268),
    "setpgid": (109, 154),
    "setpriority": (141, 140),
    "setresuid": (117, 147),
    "setsid": (112, 157),
    "setsockopt": (54, 208),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "splice": (275, 76),
    "statmount": (457, 457),
    "swapon": (167, 224),
    "syncfs": (306, 267),
    "syslog": (103, 116),
    "tee": (276, 77),
    "tgkill": (234, 131),
    "timer_create": (222, 107),
    "timerfd_create": (283, 85),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, -1),
    "userfaultfd": (323, 282),
    "utimensat": (280, 88),
    "vfork": (58, -1),
    "vhangup": (153, 58),
    "vmsplice": (278, 75),
}


def number(name):
    return _NR[name][0 if platform.machine() == "x86_64" else 1]


def call(nr, *args):
    """A raw system call by name or number; raises OSError. Strings and bytes are passed by address."""
    nr = number(nr) if isinstance(nr, str) else nr
    keep, words = [], []
    for arg in args:
        arg = os.fsencode(arg) if isinstance(arg, str) else arg
        if isinstance(arg, bytes):
            keep.append(ctypes.create_string_buffer(arg))
            words.append(ctypes.c_long(ctypes.addressof(keep[-1])))
        elif isinstance(arg, int):
            words.append(ctypes.c_long(arg))
        else:
            keep.append(arg)
            words.append(ctypes.c_long(ctypes.addressof(arg)))
    ctypes.set_errno(0)
    answer = _c.syscall(ctypes.c_long(nr), *words)
    if answer == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def attempt(act):
    try:
        said = act()
    except OSError as error:
        return {"errno": error.errno}
    return said if isinstance(said, str) else "escaped"


def map_memory(size, protection, flags, fd=-1):
    """mmap(2); the address."""
    ctypes.set_errno(0)
    address = _c.mmap(None, size, protection, flags, fd, 0)
    if address is None or address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return address


def run_bytes(code):
    """Runs machine code."""
    address = map_memory(4096, 7, 0x22)
    ctypes.memmove(address, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_long)(address)()


def channel():
    """The descriptor of the one socket a child has."""
    for fd in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                return fd
        except OSError:
            pass
    raise RuntimeError("no channel")


def changed(path, look, act):
    """"escaped" when `act` changes what `look` sees of `path`, else "no effect"."""
    before = look(os.stat(path))
    act()
    return "escaped" if look(os.stat(path)) != before else "no effect"


