"""Times what a user would write instead of a plugin; one JSON object of seconds.

    pool.py COUNT

`fresh` gives every task a process of its own, `reused` two processes to all of
them, `exec` none: a loop in this very process, with fresh globals.
"""

import contextlib
import io
import json
import multiprocessing
import sys
import time

EXPRESSION = "1 + 2 * 3"


def task(text):
    return eval(compile(text, "<execution>", "eval"), {"__name__": "__main__"})


def timed(count, call):
    times = []
    for _ in range(count):
        time.sleep(0.01)
        began = time.perf_counter()
        if call() != 7:
            raise SystemExit("a task answered something else")
        times.append(time.perf_counter() - began)
    return times


def captured():
    with contextlib.redirect_stdout(io.StringIO()):
        return task(EXPRESSION)


def main():
    count = int(sys.argv[1])
    answer = {"exec": timed(count, captured)}
    fork = multiprocessing.get_context("fork")
    with fork.Pool(2) as pool:
        answer["reused"] = timed(count, lambda: pool.apply(task, (EXPRESSION,)))
    with fork.Pool(2, maxtasksperchild=1) as pool:
        answer["fresh"] = timed(count, lambda: pool.apply(task, (EXPRESSION,)))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
