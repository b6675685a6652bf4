#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The questions of perf/executor.c put to asyncio and concurrent.futures, in
the same lines: python3 perf/peers/executor.py [runs]

Not `spin`, for while a thread of Python spins no other one runs. Pools have
their default sizes, as in perf/executor.c; processes come from a fork server,
as there."""
import asyncio
import concurrent.futures
import multiprocessing
import statistics
import sys
import time

WINDOW = 64
CHUNK = 1000
COUNT = 2000  # of jobs; of pieces in a map ten times as many
RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 5


def nothing(_=None):
    pass


async def ask_one(pool):
    loop = asyncio.get_running_loop()
    for _ in range(COUNT):
        await loop.run_in_executor(pool, nothing)
    return COUNT


async def ask_window(pool):
    loop = asyncio.get_running_loop()
    window = []
    for i in range(COUNT):
        if len(window) < WINDOW:
            window.append(loop.run_in_executor(pool, nothing))
        else:
            await window[i % WINDOW]
            window[i % WINDOW] = loop.run_in_executor(pool, nothing)
    await asyncio.gather(*window)
    return COUNT


def ask_burst(pool):
    futures = [pool.submit(nothing) for _ in range(COUNT)]
    futures[-1].result()
    return COUNT


def ask_map(pool):
    count = 10 * COUNT
    taken = sum(1 for _ in pool.map(nothing, range(count), chunksize=CHUNK))
    assert taken == count
    return count


def report(parameters, values, unit):
    digits = 2 if unit == "ns" else 4
    median, least, most = (
        f"{value:.{digits}f}"
        for value in (statistics.median(values), min(values), max(values))
    )
    print(f"executor asyncio {parameters} {median} {unit}")
    print(
        f"# spread executor asyncio {parameters} median {median} "
        f"min {least} max {most} runs {len(values)}",
        flush=True,
    )


def measure(parameters, ask, as_rate=False):
    ask()  # starts the workers
    values = []
    for _ in range(RUNS):
        start = time.perf_counter_ns()
        count = ask()
        values.append((time.perf_counter_ns() - start) / count)
    report(parameters, values, "ns")
    if as_rate:
        report(parameters, [1e3 / value for value in values], "Mops/s")


def in_loop(ask, pool):
    """A call that runs `ask` in one loop which stays the same."""
    runner = asyncio.Runner()
    return lambda: runner.run(ask(pool))


def answer(kind, make):
    questions = [
        ("mode=one,loops=1", ask_one, True, False),
        ("mode=window,loops=1,jobs=64", ask_window, True, True),
        ("mode=burst,loops=0", ask_burst, False, False),
        ("mode=map,loops=0,chunk=1000", ask_map, False, False),
    ]
    for parameters, ask, loops, as_rate in questions:
        with make() as pool:
            measure(
                f"kind={kind},{parameters}",
                in_loop(ask, pool) if loops else lambda: ask(pool),
                as_rate,
            )


if __name__ == "__main__":
    answer("threads", concurrent.futures.ThreadPoolExecutor)
    answer(
        "processes",
        lambda: concurrent.futures.ProcessPoolExecutor(
            mp_context=multiprocessing.get_context("forkserver")
        ),
    )
