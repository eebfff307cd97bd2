"""Records averages of torch.optim.swa_utils.AveragedModel in float64, of random parameters: average.csv.

`python tests/data/torch_average.py [directory]` needs PyTorch. It writes into the directory, or next to itself. The
committed file is from PyTorch 2.15.0.
"""

import sys
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

DIRECTORY = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
UPDATES, LEN, DECAY = 60, 5, 0.9

torch.manual_seed(3)
model = torch.nn.ParameterList([torch.zeros(LEN, dtype=torch.float64)])


def warmup(average, param, n):
    return average + max(1 - DECAY, 1 / (int(n) + 1)) * (param - average)


averages = {
    "mean": AveragedModel(model),
    "ema": AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY)),
    "warmup": AveragedModel(model, avg_fn=warmup),
}
lines = [f"# torch.optim.swa_utils.AveragedModel {torch.__version__} float64", f"# decay={DECAY}"]
lines.append(",".join(f"{name}{i}" for name in ("param", *averages) for i in range(LEN)))
for _ in range(UPDATES):
    model[0].data = torch.randn(LEN, dtype=torch.float64)
    for average in averages.values():
        average.update_parameters(model)
    # repr: the shortest decimal that reads back as the same float64
    lines.append(",".join(repr(x) for m in (model, *(a.module for a in averages.values())) for x in m[0].tolist()))
(DIRECTORY / "average.csv").write_text("\n".join(lines) + "\n")
