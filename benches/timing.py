"""What epoch.py and draws.py share: their versions, and timing in turn."""

import sys
import time

import numpy
import torch

torch.set_num_threads(1)


def arguments():
    """Those of the command line; without any, prints the versions and ends."""
    if len(sys.argv) == 1:
        sys.exit(print(f"torch {torch.__version__}, numpy {numpy.__version__}"))
    return sys.argv[1:]


def print_least(contenders, length, rounds, calls=3):
    """The least nanoseconds of each, an item of `length`."""
    figures = [[least(call, calls) / length for call in contenders] for _ in range(rounds)]
    print(*(min(column) for column in zip(*figures)))


def least(call, calls):
    """Of several in a row, so that it meets its own data in the caches, not its neighbour's."""
    times = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return min(times)
