"""torch's and numpy's draws into an array: nanoseconds a draw, least of several, one thread, in turn.

Without arguments: their versions.
"""

import sys
import time

import numpy
import torch

if len(sys.argv) == 1:
    sys.exit(print(f"torch {torch.__version__}, numpy {numpy.__version__}"))
name, length = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
generator = numpy.random.default_rng(1)
kinds = {"f32": (torch.float32, numpy.float32), "f64": (torch.float64, numpy.float64)}
kind, *rest = name.split()
torch_type, numpy_type = kinds[rest[0]] if rest and rest[0] in kinds else (torch.float32, numpy.float64)
out, array = torch.empty(length, dtype=torch_type), numpy.empty(length, dtype=numpy_type)
integers, coins = torch.empty(length, dtype=torch.int64), torch.empty(length, dtype=torch.bool)
contenders = {
    "uniform": (lambda: out.uniform_(), lambda: generator.random(dtype=numpy_type, out=array)),
    "normal": (lambda: out.normal_(), lambda: generator.standard_normal(dtype=numpy_type, out=array)),
    "word": (lambda: integers.random_(), lambda: generator.integers(2**64, size=length, dtype=numpy.uint64)),
    "below": (lambda: integers.random_(1000), lambda: generator.integers(1000, size=length)),
    "coin": (lambda: coins.bernoulli_(0.3), lambda: generator.random(length) < 0.3),
}[kind]


def least(call):
    """Of three in a row, so that it meets its own data in the caches, not its neighbour's."""
    times = []
    for _ in range(3):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return min(times) / length


rounds = min(300, max(5, 3_000_000 // length))
figures = [[least(call) for call in contenders] for _ in range(rounds)]
print(*(min(column) for column in zip(*figures)))
