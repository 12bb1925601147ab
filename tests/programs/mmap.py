# Mapped files, and memory that grows.
import mmap
f=open('m','w+b'); f.write(b'x'*10000); f.flush(); m=mmap.mmap(f.fileno(),0); m.flush(); m.resize(20000); m.madvise(mmap.MADV_WILLNEED); m.close()
x=bytearray(50<<20); x*=1; del x
l=[bytearray(100000) for _ in range(100)]; l[0].extend(bytes(9<<20)); l[0].extend(bytes(40<<20))
_result = "done"
