"""torch.randperm and numpy's Generator.permutation: nanoseconds per index, least of several, one thread, in turn."""

import sys

import numpy
import torch
from timing import print_least

length = int(sys.argv[1])
generator = numpy.random.default_rng(1)
out = torch.empty(length, dtype=torch.int64)
contenders = (lambda: torch.randperm(length, out=out), lambda: generator.permutation(length))
rounds, calls = min(300, max(2, 30_000_000 // length)), 3
print_least(contenders, length, *((1, 1) if length > 10_000_000 else (rounds, calls)))  # 10^9 takes minutes
