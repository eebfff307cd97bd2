"""What epoch.py, draws.py and weighted.py share: timing in turn."""

import time

import torch

torch.set_num_threads(1)


def print_least(contenders, length, rounds, calls=3):
    """The least nanoseconds of each, per item of `length`."""
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
