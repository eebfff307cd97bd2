"""torch.optim.SGD and AveragedModel, for average.rs, which starts this and says when: so that all contenders run in turn.

    average.py LR MOMENTUM DECAY LENGTH     prints the version; then for each line of input, a number of threads, takes three
                                            steps with their averages and prints the nanoseconds of the fastest

The first thing printed after the version is the sum of the average after 3 steps.
"""

import sys
from time import perf_counter_ns

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

lr, momentum, decay = map(float, sys.argv[1:4])
length = int(sys.argv[4])
model = torch.nn.ParameterList([(torch.arange(length) % 5).float()])
model[0].grad = (torch.arange(length) % 16).float() - 7.5
sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, fused=True)
average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


def step():
    sgd.step()
    average.update_parameters(model)


for _ in range(3):
    step()
print(torch.__version__)
print(average.module[0].detach().double().sum().item(), flush=True)
for line in sys.stdin:
    torch.set_num_threads(int(line))
    times = []
    for _ in range(3):
        start = perf_counter_ns()
        step()
        times.append(perf_counter_ns() - start)
    print(min(times), flush=True)
