# Linear algebra, random numbers, mapped arrays.
import numpy as np
a = np.arange(250000.).reshape(500, 500) % 7 + np.eye(500) * 9
x = np.linalg.solve(a, np.ones(500)); np.linalg.eigvals(a[:100,:100]); np.linalg.svd(a); np.fft.fft(a); np.random.default_rng().normal(size=9)
m = np.memmap('big', dtype='f8', mode='w+', shape=(1000, 1000)); m[:] = 2; m.flush(); np.save('f.npy',a); np.load('f.npy',mmap_mode='r')
_result = "done"
