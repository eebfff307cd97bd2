"""Records seven trajectories of torch.optim.SGD in float64, on random gradients: the files named at the end.

`python tests/data/torch_sgd.py [directory]` needs PyTorch, and writes next to itself unless told where. The committed
files are from PyTorch 2.11.0; 2.15.0 gives the same numbers, to the last digit.
"""

import sys
from pathlib import Path

import torch

DIRECTORY = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
STEPS, LEN, LEARNING_RATE = 60, 5, 0.1


def record(name, seed, halve_every=None, **settings):
    torch.manual_seed(seed)
    params = torch.nn.Parameter(torch.randn(LEN, dtype=torch.float64))
    optimizer = torch.optim.SGD([params], lr=LEARNING_RATE, **settings)
    lines = [f"# torch.optim.SGD {torch.__version__} float64", *(f"# {key}={value}" for key, value in settings.items())]
    lines.append(",".join(["step", "learning_rate", *(f"{name}{i}" for name in ("grad", "param") for i in range(LEN))]))

    def row(step, learning_rate, grads):
        # repr: the shortest decimal that reads back as the same float64
        lines.append(",".join([str(step), learning_rate, *grads, *map(repr, params.tolist())]))

    row(0, "", [""] * LEN)
    for step in range(1, STEPS + 1):
        learning_rate = LEARNING_RATE * 0.5 ** (step // halve_every) if halve_every else LEARNING_RATE
        optimizer.param_groups[0]["lr"] = learning_rate
        params.grad = torch.randn(LEN, dtype=torch.float64)
        optimizer.step()
        row(step, repr(learning_rate), map(repr, params.grad.tolist()))
    (DIRECTORY / f"{name}.csv").write_text("\n".join(lines) + "\n")


record("sgd", seed=4)
record("sgd_l2", seed=7, weight_decay=0.01)
record("momentum", seed=9, momentum=0.9)
record("momentum_l2", seed=12, momentum=0.9, weight_decay=0.01)
record("nesterov", seed=9, momentum=0.9, nesterov=True)
record("momentum_step_lr", seed=17, halve_every=10, momentum=0.9)
record("nesterov_step_lr", seed=17, halve_every=10, momentum=0.9, nesterov=True)
