"""Records schedules, reductions on a plateau and loss scales of PyTorch: schedules.csv, plateau.csv and loss_scale.csv.

`python tests/data/torch_schedules.py [directory]` needs PyTorch. It writes into the directory, or next to itself. The
committed files are from PyTorch 2.15.0.
"""

import math
import random
import sys
import warnings
from pathlib import Path

import torch
from torch.optim import lr_scheduler

DIRECTORY = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
warnings.filterwarnings("ignore", message="Detected call of")


def sgd(learning_rate):
    params = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    return torch.optim.SGD([params], lr=learning_rate, momentum=0.9)


def write(name, lines):
    (DIRECTORY / name).write_text("\n".join([f"# torch {torch.__version__.split('+')[0]}", *lines]) + "\n")


def changes(first, values):
    """The steps at which a value differs from the one before, and these values."""
    before = [first, *values]
    return ",".join(f"{at}:{value!r}" for at, value in enumerate(values) if value != before[at])


# A line for each case: its name, then the learning rate of each step.
schedules = []


def schedule(name, learning_rate, make, steps, *, setting="lr"):
    optimizer = sgd(learning_rate)
    scheduler = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(repr(float(optimizer.param_groups[0][setting])))
        optimizer.step()
        scheduler.step()
    schedules.append(f"{name},{','.join(values)}")


cycles = [("whole", 100, 0.31), ("default_100", 100, 0.3), ("default_47", 47, 0.3), ("short", 11, 0.25)]
for name, total, share in cycles:
    cycle = lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=total, pct_start=share)
    schedule(f"one_cycle_{name}", 0.5, cycle, total)
    schedule(f"one_cycle_{name}_momentum", 0.5, cycle, total, setting="momentum")
schedule("multi_step", 0.1, lambda o: lr_scheduler.MultiStepLR(o, [2, 5, 9], gamma=0.5), 12)
for power in [0.9, 0.5, 2.5, 3.0]:
    schedule(f"polynomial_{power}", 0.05, lambda o: lr_scheduler.PolynomialLR(o, total_iters=37, power=power), 40)
schedule("exponential", 0.05, lambda o: lr_scheduler.ExponentialLR(o, gamma=0.9), 41)
write("schedules.csv", schedules)

# Each case has a line of settings, a line of losses, and a line of the losses after which the learning rate changed,
# with the new rate. The first rate is 0.5, and eps is 0.
plateau = []


def reduce(losses, mode="min", threshold_mode="rel", threshold=1e-4, patience=10, cooldown=0, factor=0.1, min_lr=0.0):
    optimizer = sgd(0.5)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps=0.0
    )
    rates = []
    for loss in losses:
        scheduler.step(loss)
        rates.append(float(optimizer.param_groups[0]["lr"]))
    plateau.append(",".join(map(str, [mode, threshold_mode, threshold, patience, cooldown, factor, min_lr])))
    plateau.extend([",".join(map(str, losses)), changes(0.5, rates)])


random.seed(1)
noisy = [round(2 * math.exp(-epoch / 15) + 0.3 + random.gauss(0, 0.05), 4) for epoch in range(100)]
accuracies = [round(1 - loss / 3, 4) for loss in noisy]
for threshold_mode in ["rel", "abs"]:
    for threshold, patience, cooldown in [(0.0, 0, 0), (1e-4, 3, 0), (0.02, 4, 5), (0.3, 2, 1)]:
        for mode, metrics in [("min", noisy), ("max", accuracies)]:
            settings = dict(threshold=threshold, patience=patience, cooldown=cooldown)
            reduce(metrics, mode, threshold_mode, factor=0.7, min_lr=1e-3, **settings)
reduce(noisy)
write("plateau.csv", plateau)

# Each case has a line with the first scale and the interval of growth, a line of steps (1 where the gradients are
# finite), and a line of the steps after which the scale changed, with the new scale.
scales = []


def scale(first, interval, steps):
    optimizer = sgd(0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=first, growth_interval=interval)
    scaler.scale(torch.zeros(()))
    recorded = []
    for finite in steps:
        optimizer.param_groups[0]["params"][0].grad = torch.tensor([0.0 if finite else math.inf], dtype=torch.float64)
        scaler.step(optimizer)
        scaler.update()
        recorded.append(scaler.get_scale())
    scales.extend([f"{first},{interval}", "".join(map(str, steps)), changes(first, recorded)])


scale(2.0**16, 2000, [1] * 4001)
scale(2.0**15, 1, [1, 1, 0, 1, 0, 0, 1])
for share, interval in [(0.9, 3), (0.6, 2), (0.97, 20)]:
    scale(1024.0, interval, [int(random.random() < share) for _ in range(200)])
write("loss_scale.csv", scales)
