# What a process asks about itself, its time, its signals and its waiting.
import faulthandler, os, resource, select, signal, threading, time

os.getpid(), os.getppid(), os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()
os.getresuid(), os.getresgid(), os.getpgid(0), os.getpgrp(), os.getsid(0), os.uname()
os.getloadavg(), os.times(), os.getpriority(0, 0), os.nice(0)
os.sched_getaffinity(0), os.process_cpu_count(), os.sched_yield()
os.sched_getparam(0), os.sched_getscheduler(0), os.sched_rr_get_interval(0)
os.sched_get_priority_max(0), os.sched_get_priority_min(0)
os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_AVPHYS_PAGES"), os.urandom(8), os.getrandom(8)
resource.getrusage(0), resource.getrlimit(0), resource.prlimit(0, 0)

for number in (signal.SIGUSR1, signal.SIGALRM):
    signal.signal(number, lambda *_: 0)
os.kill(os.getpid(), signal.SIGUSR1), signal.raise_signal(signal.SIGUSR1)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]), signal.sigpending()
os.kill(os.getpid(), signal.SIGUSR2), signal.sigwait([signal.SIGUSR2])
signal.sigtimedwait([signal.SIGUSR2], 0.01)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05), signal.getitimer(signal.ITIMER_REAL), signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
signal.alarm(1), signal.alarm(0)
faulthandler.enable(), faulthandler.dump_traceback_later(5), faulthandler.cancel_dump_traceback_later()

time.sleep(0.01), time.sleep(0), time.process_time(), time.thread_time()
time.clock_getres(time.CLOCK_PROCESS_CPUTIME_ID), time.clock_gettime(2)
for act in (lambda: os.waitpid(-1, 0), lambda: os.waitid(os.P_ALL, 0, os.WEXITED)):
    try:
        act()
    except ChildProcessError:
        pass
timer = os.timerfd_create(time.CLOCK_MONOTONIC)
os.timerfd_settime(timer, initial=0.01), os.timerfd_gettime(timer), os.read(timer, 8)
event = os.eventfd(1)
poll, epoll = select.poll(), select.epoll()
poll.register(event, 1), poll.poll(1), epoll.register(event, 1), epoll.poll(0.01)
select.select([event], [], [], 0.01), os.eventfd_read(event)
_result = "done"
