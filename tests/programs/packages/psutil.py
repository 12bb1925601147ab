# What a process sees of itself by way of a library.
import psutil
p=psutil.Process(); p.memory_info(); p.cpu_times(); p.num_threads(); psutil.virtual_memory(); psutil.cpu_count()
_result = "done"
