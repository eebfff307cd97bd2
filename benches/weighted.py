"""torch.multinomial and numpy's Generator.choice: nanoseconds per draw, least of several, one thread, in turn.

Both sum the weights up in each call, so that a call draws as many as there are weights, from 2^16 to 2^20. torch takes at most
2^24 weights: nan above.
"""

import sys

import numpy
import torch
from timing import print_least

length = int(sys.argv[1])
count = min(max(length, 2**16), 2**20)
generator = numpy.random.default_rng(1)
weights = generator.random(length)
p = weights / weights.sum()
tensor = torch.from_numpy(weights)
contenders = (
    lambda: torch.multinomial(tensor, count, replacement=True),
    lambda: generator.choice(length, size=count, p=p),
)
rounds = 30 if length < 10**6 else 3
if length > 2**24:
    print("nan ", end="")
    contenders, rounds = contenders[1:], 1
print_least(contenders, count, rounds=rounds)
