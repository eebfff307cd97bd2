"""torch's and numpy's draws into an array: nanoseconds per draw, least of several, one thread, in turn."""

import sys

import numpy
import torch
from timing import print_least

name, length = sys.argv[1:]
length = int(length)
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
print_least(contenders, length, rounds=min(300, max(5, 3_000_000 // length)))
