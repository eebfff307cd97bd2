"""torch.randperm and numpy's Generator.permutation: nanoseconds an index, least of several, one thread, in turn.

Without a length: their versions.
"""

import sys
import time

import numpy
import torch

if len(sys.argv) == 1:
    sys.exit(print(f"torch {torch.__version__}, numpy {numpy.__version__}"))
length = int(sys.argv[1])
torch.set_num_threads(1)
generator = numpy.random.default_rng(1)
out = torch.empty(length, dtype=torch.int64)


def least(call):
    """Of three in a row, so that it meets its own data in the caches, not its neighbour's."""
    times = []
    for _ in range(3):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return min(times) / length


rounds = min(300, max(2, 30_000_000 // length))
figures = [(least(lambda: torch.randperm(length, out=out)), least(lambda: generator.permutation(length))) for _ in range(rounds)]
print(*(min(column) for column in zip(*figures)))
