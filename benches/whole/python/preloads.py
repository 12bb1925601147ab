"""What each module of a list costs a process that has imported it and forks.

Prints a JSON object: for each name the median over three rounds of the time of
its import, of a fork with the child's end, of the child's page faults, and of
the resident memory, all above a process without it; and the number of at-fork
hooks it registers. A zygote drops those, so they count in `hooked_us` alone,
which is the fork with them.

    python3 -I preloads.py NAME...
"""

import gc
import os
import resource
import sys
import time

FORKS = 200
ROUNDS = 3


def resident_kib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def fork_us():
    began = time.perf_counter_ns()
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return (time.perf_counter_ns() - began) / 1000


def one(name, keep):
    hooks = 0
    register = os.register_at_fork

    def counted(**callbacks):
        nonlocal hooks
        hooks += len(callbacks)
        if keep:
            register(**callbacks)

    os.register_at_fork = counted
    before, began = resident_kib(), time.perf_counter_ns()
    if name:
        __import__(name)
    took, after = time.perf_counter_ns() - began, resident_kib()
    gc.collect()
    gc.freeze()
    faults = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    forks = sorted(fork_us() for _ in range(FORKS))[FORKS // 2]
    faults = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - faults
    return {
        "import_ms": took / 1e6,
        "fork_us": forks,
        "faults": faults / FORKS,
        "kib": after - before,
        "hooks": hooks,
    }


def main():
    names = sys.argv[1:]
    if names[:1] == ["--one"]:
        print(repr(one(names[2], names[1] == "hooked")))
        return
    # Not before: what is measured must not be here already.
    import ast
    import json
    import statistics
    import subprocess

    def measured(name, how="bare"):
        command = [sys.executable, "-I", __file__, "--one", how, name]
        return ast.literal_eval(subprocess.check_output(command, text=True))

    # The bare process stands between any two, so that a slow minute is slow for both.
    costs = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            bare, full = measured(""), measured(name)
            cost = {key: full[key] - bare[key] for key in full}
            if cost["hooks"]:
                cost["hooked_us"] = measured(name, "hooked")["fork_us"] - bare["fork_us"]
            costs[name].append(cost)
    print(
        json.dumps(
            {
                name: {key: statistics.median(round[key] for round in rounds) for key in rounds[0]}
                for name, rounds in costs.items()
            }
        )
    )


if __name__ == "__main__":
    main()
