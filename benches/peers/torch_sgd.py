"""`torch.optim.SGD` and numpy on the data of main.rs, which starts this and puts its lines into the tables.

    torch_sgd.py LENGTH DTYPE LR MU  a line each: name, nanoseconds per step, sum of the parameters after 3 steps

Timed as there: in turn, several calls in a row, least time. A step is `optimizer.step()`; the gradient stands ready.
"""

import sys
from time import perf_counter

import numpy
import torch

n, dtype, lr, mu = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
start = (numpy.arange(n) % 5).astype(dtype)
grads = (numpy.arange(n) % 16 - 7.5).astype(dtype)


def torch_sgd(**options):
    params = torch.nn.Parameter(torch.from_numpy(start.copy()))
    params.grad = torch.from_numpy(grads.copy())
    return params.detach().numpy(), torch.optim.SGD([params], lr=lr, momentum=mu, **options).step


def numpy_sgd():
    p, g, m = start.copy(), grads, numpy.zeros_like(start)

    def step():
        nonlocal p, m
        if mu:
            m *= mu
            m += g
            p -= lr * m
        else:
            p -= lr * g

    return p, step


def race(contenders):
    expected = numpy_sgd()
    for _ in range(3):
        expected[1]()
    sums = {}
    for name, (params, step) in contenders.items():
        for _ in range(3):
            step()
        assert (params != start).all(), f"{name}: some parameters did not move"
        assert numpy.allclose(params, expected[0], rtol=1e-5, atol=1e-5), f"{name}: not what numpy gets"
        sums[name] = params.sum(dtype="float64")
    least = dict.fromkeys(contenders, float("inf"))
    repeat = max(1, min(20, 20_000 // n))
    for _ in range(max(7, min(50, 50_000_000 // n))):
        for name, (_, step) in contenders.items():
            for _ in range(3):
                begin = perf_counter()
                for _ in range(repeat):
                    step()
                least[name] = min(least[name], (perf_counter() - begin) / repeat)
    for name, (params, _) in contenders.items():
        assert (params != expected[0]).all(), f"{name}: did not step while timed"
        print(f"{name}\t{least[name] * 1e9}\t{sums[name]!s}")


for threads in (1, 2):
    torch.set_num_threads(threads)
    contenders = {
        f"torch {name} {threads}T": torch_sgd(**options)
        for name, options in {"plain": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}.items()
    }
    if threads == 1:
        contenders["numpy"] = numpy_sgd()
    race(contenders)
