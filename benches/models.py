"""torch.optim.SGD or AdamW on a model, for models.rs, which starts this and says when: so that all contenders run in turn.

    models.py RULE LR MOMENTUM DECAY LENGTHS...   prints the version; then for each line of input, such as `fused 2` (threads),
                                             takes two steps and prints the nanoseconds of the faster one

The first thing printed after the version is the sum of the parameters after 3 steps.
"""

import sys
from time import perf_counter_ns

import torch

rule = sys.argv[1]
lr, momentum, decay = map(float, sys.argv[2:5])
lengths = [int(length) for length in sys.argv[5:]]
params = [torch.nn.Parameter((torch.arange(length) % 5).float()) for length in lengths]
for param in params:
    param.grad = (torch.arange(len(param)) % 16).float() - 7.5
new = {
    "momentum": lambda **kind: torch.optim.SGD(params, lr=lr, momentum=momentum, weight_decay=decay, **kind),
    "adamw": lambda **kind: torch.optim.AdamW(params, lr=lr, weight_decay=decay, **kind),
}[rule]
optimizers = {kind: new(**{kind: True}) for kind in ("fused", "foreach")}
for _ in range(3):
    optimizers["fused"].step()
print(torch.__version__)
print(sum(param.detach().double().sum().item() for param in params), flush=True)
for line in sys.stdin:
    kind, threads = line.split()
    torch.set_num_threads(int(threads))
    times = []
    for _ in range(2):
        start = perf_counter_ns()
        optimizers[kind].step()
        times.append(perf_counter_ns() - start)
    print(min(times), flush=True)
