"""torch.optim.SGD on a model, for models.rs, which starts this and says when: so that all contenders run in turn.

    models.py LR MOMENTUM DECAY LENGTHS...   prints the version; then for each line of input, such as `fused 2` (threads),
                                             takes two steps and prints the nanoseconds of the faster one

The first thing printed after the version is the sum of the parameters after 3 steps.
"""

import sys
from time import perf_counter_ns

import torch

lr, momentum, decay = map(float, sys.argv[1:4])
lengths = [int(length) for length in sys.argv[4:]]
params = [torch.nn.Parameter((torch.arange(length) % 5).float()) for length in lengths]
for param in params:
    param.grad = (torch.arange(len(param)) % 16).float() - 7.5
sgd = {
    kind: torch.optim.SGD(params, lr=lr, momentum=momentum, weight_decay=decay, **{kind: True})
    for kind in ("fused", "foreach")
}
for _ in range(3):
    sgd["fused"].step()
print(torch.__version__)
print(sum(param.detach().double().sum().item() for param in params), flush=True)
for line in sys.stdin:
    kind, threads = line.split()
    torch.set_num_threads(int(threads))
    times = []
    for _ in range(2):
        start = perf_counter_ns()
        sgd[kind].step()
        times.append(perf_counter_ns() - start)
    print(min(times), flush=True)
