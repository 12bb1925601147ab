# Threads, locks, pools.
import threading, queue, concurrent.futures, time
e=threading.Event(); threading.Thread(target=e.wait).start(); time.sleep(.01); e.set(); threading.Barrier; 
with concurrent.futures.ThreadPoolExecutor(4) as p: list(p.map(abs,range(9)))
threading.current_thread().name='x'; threading.get_native_id(); threading.stack_size(1<<20); t=threading.Thread(target=lambda: threading.get_native_id()); t.start(); t.join()
threading.Lock().acquire(timeout=.01)
_result = "done"
