"""torch.optim on a model, for models.rs and average.rs, which start this and say when, so that all run in turn.

    models.py RULE LR MOMENTUM DECAY LENGTHS...   prints a sum after 3 steps; then for each line of input, such as
                                             `torch fused 2T` (threads), takes three steps and prints the nanoseconds
                                             of the fastest

RULE is momentum, adamw, or average: SGD without decay, and its AveragedModel with that decay. The sum is of the parameters,
or of the averages.
"""

import sys
from time import perf_counter_ns

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

rule = sys.argv[1]
lr, momentum, decay = map(float, sys.argv[2:5])
model = torch.nn.ParameterList([(torch.arange(int(length)) % 5).float() for length in sys.argv[5:]])
params = list(model)
for param in params:
    param.grad = (torch.arange(len(param)) % 16).float() - 7.5
new = {
    "momentum": lambda **kind: torch.optim.SGD(params, lr=lr, momentum=momentum, weight_decay=decay, **kind),
    "adamw": lambda **kind: torch.optim.AdamW(params, lr=lr, weight_decay=decay, **kind),
    "average": lambda **kind: torch.optim.SGD(params, lr=lr, momentum=momentum, **kind),
}[rule]
optimizers = {kind: new(**{kind: True}) for kind in ("fused", "foreach")}
average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay)) if rule == "average" else None


def step(kind):
    optimizers[kind].step()
    if average:
        average.update_parameters(model)


for _ in range(3):
    step("fused")
print(sum(param.detach().double().sum().item() for param in (average or model).parameters()), flush=True)
for line in sys.stdin:
    _, kind, threads = line.split()
    torch.set_num_threads(int(threads.rstrip("T")))
    times = []
    for _ in range(3):
        start = perf_counter_ns()
        step(kind)
        times.append(perf_counter_ns() - start)
    print(min(times), flush=True)
