"""Trains the network of examples/digits.rs on MNIST, there and in PyTorch, with the same settings, in turn.

    python3 benches/train.py MNIST_DIR [SEEDS]

784 - 256 - 10, ReLU, batches of 32, momentum 0.9, a learning rate from 0.1 linearly towards 0, 10 epochs, the held-out
accuracy after each. PyTorch has the whole set as one tensor and takes the rows of a batch by index (no DataLoader, which
would be slower). Prints CSV: seconds (the least and the middle of the seeds; reading the files is not included) and the
accuracy at the end (mean and standard deviation).
"""

import gzip
import os
import re
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path
from time import perf_counter

import torch

EPOCHS, BATCH, RATE = 10, 32, 0.1


def read(directory, name, header):
    path = directory / name
    data = path.read_bytes() if path.exists() else gzip.decompress((directory / f"{name}.gz").read_bytes())
    return torch.frombuffer(bytearray(data[header:]), dtype=torch.uint8)


def load(directory, name):
    pixels = read(directory, f"{name}-images-idx3-ubyte", 16).reshape(-1, 784).float() / 255
    return pixels, read(directory, f"{name}-labels-idx1-ubyte", 8).long()


def pytorch(train, test, threads, seed):
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)]
    for layer in layers[::2]:
        torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        torch.nn.init.zeros_(layer.bias)
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, fused=True)
    loss = torch.nn.CrossEntropyLoss()
    (pixels, labels), (test_pixels, test_labels) = train, test
    start = perf_counter()
    for epoch in range(EPOCHS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - epoch / EPOCHS)
        for batch in torch.randperm(len(pixels)).split(BATCH):
            optimizer.zero_grad()
            loss(model(pixels[batch]), labels[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = 100 * (model(test_pixels).argmax(1) == test_labels).float().mean().item()
    return perf_counter() - start, accuracy


def gradstep(directory, threads, seed):
    options = ["--data", directory, "--threads", threads, "--seed", seed, "--plot", "target/train.svg"]
    command = ["cargo", "run", "-q", "--release", "--features", "rayon,simd", "--example", "digits", "--", *options]
    output = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    return tuple(
        float(re.search(word, output, re.M)[1]) for word in (r"^time: ([\d.]+)", r"^held-out accuracy: ([\d.]+)")
    )


directory, seeds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
train, test = load(directory, "train"), load(directory, "t10k")
rust = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
cpu = dict(re.findall(r"^(.*?)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M))
machine = f"{cpu['model name']} (family {cpu['cpu family']}, model {cpu['model']}), {os.cpu_count()} cores"
print(f"# {date.today()}; {machine}; {rust}; torch {torch.__version__}; {seeds} seeds; benches/train.py")
print("network, threads, least, middle, accuracy, deviation")
for threads in (1, 2):
    runs = {"gradstep": [], "torch": []}
    for seed in range(seeds):
        runs["gradstep"].append(gradstep(directory, threads, seed))
        runs["torch"].append(pytorch(train, test, threads, seed))
    for name, results in runs.items():
        times, accuracies = zip(*results)
        spread = statistics.stdev(accuracies) if seeds > 1 else 0
        seconds = f"{min(times):.2f}, {statistics.median(times):.2f}"
        print(f"{name}, {threads}, {seconds}, {statistics.mean(accuracies):.2f}, {spread:.2f}", flush=True)
