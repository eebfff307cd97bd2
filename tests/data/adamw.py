"""Records tests/data/adamw.csv: torch.optim.AdamW in float64, on random gradients.

`python tests/data/adamw.py` needs PyTorch; `cargo run --example custom_optimizer` only reads what it wrote.
"""

from pathlib import Path

import torch

SETTINGS = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
STEPS, LEN = 20, 3

generator = torch.Generator().manual_seed(1)
params = torch.nn.Parameter(torch.randn(LEN, dtype=torch.float64, generator=generator))
optimizer = torch.optim.AdamW([params], **SETTINGS)

lines = [f"# torch.optim.AdamW {torch.__version__} float64", "# betas=0.9,0.999", "# eps=1e-08", "# weight_decay=0.01"]
lines.append(",".join(["step", "learning_rate", *(f"{name}{i}" for name in ("grad", "param") for i in range(LEN))]))


def row(step, learning_rate, grads):
    # repr: the shortest decimal that reads back as the same float64
    lines.append(",".join([str(step), learning_rate, *grads, *map(repr, params.tolist())]))


row(0, "", [""] * LEN)
for step in range(1, STEPS + 1):
    params.grad = torch.randn(LEN, dtype=torch.float64, generator=generator)
    optimizer.step()
    row(step, repr(SETTINGS["lr"]), map(repr, params.grad.tolist()))
Path(__file__).with_name("adamw.csv").write_text("\n".join(lines) + "\n")
