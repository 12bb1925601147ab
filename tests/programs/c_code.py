# Calls that C code makes by the libc and Python does not.
import ctypes, os, time
c=ctypes.CDLL(None)
c.usleep(10); c.pselect(0,0,0,0,ctypes.byref((ctypes.c_long*2)(0,1000)),0); c.ppoll(0,0,ctypes.byref((ctypes.c_long*2)(0,1000)),0)
c.getcpu(0,0,0); c.epoll_create(1); c.pipe((ctypes.c_int*2)()); c.eventfd(0,0); c.dup(1); c.creat(b'q',0o600); c.gettimeofday(ctypes.byref((ctypes.c_long*2)()),0); c.time(0)
c.renameat2(-100,b'q',-100,b'q2',1)
c.prctl(15,b'name',0,0,0)
_result = "done"
