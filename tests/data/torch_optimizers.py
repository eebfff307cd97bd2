"""Records trajectories of torch.optim.SGD, Adam and AdamW in float64, on random gradients: the files named at the end.

`python tests/data/torch_optimizers.py [directory]` needs PyTorch. It writes into the directory, or next to itself. The
committed files of SGD are from PyTorch 2.11.0 (2.15.0 gives the same numbers to the last digit), the others from
2.15.0.
"""

import sys
from pathlib import Path

import torch
from torch.optim import SGD, Adam, AdamW

DIRECTORY = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
LEN, LEARNING_RATE = 5, 0.1


def record(name, kind, seed, halve_every=None, **settings):
    torch.manual_seed(seed)
    params = torch.nn.Parameter(torch.randn(LEN, dtype=torch.float64))
    optimizer = kind([params], lr=LEARNING_RATE, **settings)
    steps, about = (60, settings) if kind is SGD else (100, ("betas", "eps", "weight_decay"))
    lines = [f"# torch.optim.{kind.__name__} {torch.__version__} float64"]
    lines.extend(f"# {key}={optimizer.defaults[key]}" for key in about)
    lines.append(",".join(["step", "learning_rate", *(f"{name}{i}" for name in ("grad", "param") for i in range(LEN))]))

    def row(step, learning_rate, grads):
        # repr: the shortest decimal that reads back as the same float64
        lines.append(",".join([str(step), learning_rate, *grads, *map(repr, params.tolist())]))

    row(0, "", [""] * LEN)
    for step in range(1, steps + 1):
        learning_rate = LEARNING_RATE * 0.5 ** (step // halve_every) if halve_every else LEARNING_RATE
        optimizer.param_groups[0]["lr"] = learning_rate
        params.grad = torch.randn(LEN, dtype=torch.float64)
        optimizer.step()
        row(step, repr(learning_rate), map(repr, params.grad.tolist()))
    (DIRECTORY / f"{name}.csv").write_text("\n".join(lines) + "\n")


record("sgd", SGD, seed=4)
record("sgd_l2", SGD, seed=7, weight_decay=0.01)
record("momentum", SGD, seed=9, momentum=0.9)
record("momentum_l2", SGD, seed=12, momentum=0.9, weight_decay=0.01)
record("nesterov", SGD, seed=9, momentum=0.9, nesterov=True)
record("momentum_step_lr", SGD, seed=17, halve_every=10, momentum=0.9)
record("nesterov_step_lr", SGD, seed=17, halve_every=10, momentum=0.9, nesterov=True)
record("adam", Adam, seed=1)
record("adam_l2", Adam, seed=2, weight_decay=0.01, betas=(0.5, 0.9), eps=1e-4)
record("adamw", AdamW, seed=3, weight_decay=0.01)
record("adamw_step_lr", AdamW, seed=4, halve_every=10, weight_decay=0.1)
