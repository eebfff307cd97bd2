"""Draws figures/*.svg from data/*.csv, and prints the tables of README.md. Needs matplotlib.

python3 charts.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
# Text stays text, and the same data give the same file.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gradstep", "font.size": 11})
matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
# Told apart also by those who see fewer colours (Okabe and Ito 2008). gradstep is orange in every chart.
ORANGE, BLUE, SKY, GREEN, GREY = "#d55e00", "#0072b2", "#56b4e9", "#009e73", "#999999"
RUST = ["descend", "stochastic_optimizers", "candle-optimisers", "burn"]
RULES = ["Sgd", "Momentum"]
# Where names would lie on each other: the text, and where it begins or ends, in points from the dot.
LABELS = {
    "Grain's window": ("Grain's window, Levanter's eras", (7, -4)),
    "Levanter's eras": ("", (0, 0)),
    "MosaicML py1s": ("MosaicML py1s", (8, 2)),
    "MosaicML py1br": ("MosaicML py1br", (7, 2)),
    "MosaicML py1e": ("MosaicML py1e", (-7, -4)),
    "CorgiPile": ("CorgiPile, FFCV", (-7, -13)),
    "FFCV quasi-random": ("", (0, 0)),
    "Levanter's windows": ("Levanter's windows", (0, -16)),
    "Blocks 16 x 2560": ("Blocks 16 × 2560", (6, -15)),
    "Blocks 52 x 2560": ("Blocks 52 × 2560", (7, 2)),
    "Blocks 256 x 512": ("Blocks 256 × 512", (7, 4)),
}
FEATURES = {"none": ("default features", GREY), "simd": ("simd", SKY), "simd+rayon": ("simd, rayon", BLUE)}


def records(pattern):
    for path in sorted(HERE.glob(f"data/{pattern}.csv")):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        names, *rows = ([cell.strip() for cell in line.split(",")] for line in lines)
        yield from (dict(zip(names, row, strict=True)) for row in rows)


def save(figure, name):
    # Room for fonts that are wider than those here.
    figure.get_layout_engine().set(w_pad=0.12)
    figure.savefig(HERE / "figures" / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|---" + "|---:" * (len(head) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def length(n):
    return f"2^{n.bit_length() - 1}" if n > 2**16 and n.bit_count() == 1 else f"{n:,}"


def short(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def epoch():
    rows = list(records("epoch"))
    lens = [int(row["len"]) for row in rows]
    figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
    labels = {
        "numpy": ("numpy permutation", GREY),
        "torch": ("torch.randperm", GREEN),
        "rand": ("rand shuffle", BLUE),
        "gradstep": ("gradstep", ORANGE),
    }
    for name, (label, color) in labels.items():
        times = [float(row[name]) for row in rows]
        axes.plot(lens, times, "o-", color=color, linewidth=3 if name == "gradstep" else 2, markersize=5, label=label)
    axes.set(xscale="log", yscale="log", xlabel="len, samples in an epoch", ylabel="nanoseconds an index")
    axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"], minor=False)
    axes.minorticks_off()
    axes.set_title("The shuffled order of an epoch, one thread; lower is better")
    axes.grid(axis="y", color="#dddddd")
    axes.legend(frameon=False)
    save(figure, "epoch")

    ratios = [f"{name}/gradstep" for name in ("rand", "torch", "numpy")]
    table(
        ["len", *reversed(labels), *ratios],
        ([f"{int(row['len']):,}"] + [row[name] for name in (*reversed(labels), *ratios)] for row in rows),
    )


def step():
    rows = [row for row in records("step*") if row["dtype"] == "float32" and row["tensors"] == "1"]
    lens = sorted({int(row["n"]) for row in rows})

    def ratios(features, rule, contenders):
        """For each length the least time of these contenders, in gradstep's of the same run."""
        key = (features, rule)
        found = [row for row in rows if (row["features"], row["rule"]) == key and row["contender"] in contenders]
        return [min((float(row["ratio"]) for row in found if row["n"] == str(n)), default=float("nan")) for n in lens]

    series = {
        (rule, features): ratios(features, rule, ["fastest peer", *RUST]) for rule in RULES for features in FEATURES
    }
    torch = {rule: ratios("simd+rayon", rule, ["torch fused 2T"]) for rule in RULES}
    figure, panels = plt.subplots(2, 2, figsize=(8, 6.4), sharex=True, sharey="row", layout="constrained")
    places = range(len(lens))
    for (upper, lower), rule in zip(panels.T, RULES):
        for i, (features, (label, color)) in enumerate(FEATURES.items()):
            upper.bar([x + 0.27 * (i - 1) for x in places], series[rule, features], 0.25, color=color, label=label)
        lower.bar(places, [value - 1 for value in torch[rule]], 0.6, bottom=1, color=GREEN)
        for x, value in zip(places, torch[rule]):
            lower.annotate(short(value), (x, value), (0, 3), textcoords="offset points", ha="center")
        upper.set_title(rule)
        lower.set(yscale="log", xlabel="parameters (f32)")
        lower.set_xticks(
            places,
            [f"$2^{{{length(n)[2:]}}}$" if "^" in length(n) else length(n) for n in lens],
            rotation=35,
            ha="right",
            rotation_mode="anchor",
        )
        for axes in (upper, lower):
            axes.axhline(1, color=ORANGE, linewidth=2)
            axes.tick_params(axis="x", length=0)
    lower.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    lower.set_ylim(top=6000)
    panels[0][0].set_ylabel("fastest Rust peer,\ntime / gradstep's")
    panels[1][0].set_ylabel("torch's fused SGD, 2 threads,\ntime / gradstep's (log)")
    figure.suptitle("Others' time of a step, in gradstep's (the line at 1): above it gradstep is faster", fontsize=12)
    figure.legend(
        *panels[0][0].get_legend_handles_labels(),
        frameon=False,
        ncols=3,
        loc="outside lower center",
        title="gradstep's features (torch: both)",
    )
    save(figure, "step")

    lines = []
    for rule in RULES:
        lines += [(f"{rule}, {label}: fastest peer", series[rule, name]) for name, (label, _) in FEATURES.items()]
        lines.append((f"{rule}, simd, rayon: torch", torch[rule]))
    table(["", *map(length, lens)], ([name, *map(short, values)] for name, values in lines))
    front(rows)


def front(rows):
    """One step, everyone who takes it: for the front page. gradstep takes one thread for this length."""
    names = {name: name for name in ["gradstep", *RUST, "numpy"]} | {
        "fastest peer": "fastest Rust peer",
        "torch fused 1T": "torch, 1 thread",
        "torch fused 2T": "torch, 2 threads",
    }
    key = {"features": "simd+rayon", "rule": "Momentum", "n": "65536"}
    rows = [row for row in rows if row["contender"] in names and all(row[name] == value for name, value in key.items())]
    rows.sort(key=lambda row: -float(row["ratio"]))
    timed = all(row["ns"] for row in rows)
    values = [float(row["ns"]) / 1000 if timed else float(row["ratio"]) for row in rows]
    labels = [names[row["contender"]] for row in rows]
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.42 * len(rows)), layout="constrained")
    bars = axes.barh(labels, values, 0.65, color=[ORANGE if label == "gradstep" else GREY for label in labels])
    axes.bar_label(bars, [f"{short(value)} µs" if timed else short(value) for value in values], padding=5)
    unit = "microseconds" if timed else "time / gradstep's"
    figure.suptitle(f"A momentum step of 65,536 f32 parameters ({unit}; shorter is better)", fontsize=12)
    axes.tick_params(axis="y", length=0, labelsize=12)
    axes.xaxis.set_visible(False)
    axes.margins(x=0.08)
    axes.spines[["left", "bottom"]].set_visible(False)
    save(figure, "peers")


def models():
    rows = [row for row in records("models") if row["model"] != "a thousand of 64"]
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
    for axes, model in zip(panels, dict.fromkeys(row["model"] for row in rows)):
        found = [row for row in rows if row["model"] == model][::-1]
        times = [float(row["us"]) / 1000 for row in found]
        own = [row["contender"].startswith("ParamGroups") for row in found]
        bars = axes.barh([row["contender"] for row in found], times, 0.7, color=[ORANGE if is_own else GREY for is_own in own])
        axes.bar_label(bars, [f"{time:.1f}" for time in times], padding=4)
        axes.set_title(model)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_visible(False)
        axes.margins(x=0.15)
        axes.spines[["left", "bottom"]].set_visible(False)
    figure.suptitle("A momentum step of all tensors (milliseconds; shorter is better; 1T: one thread, else 2)", fontsize=12)
    save(figure, "models")


def locality():
    rows = list(records("locality"))
    judged = [row for row in rows if row["tail"]]
    figure, axes = plt.subplots(figsize=(8, 5.6), layout="constrained")
    held = [2 ** (i / 8) / 10 for i in range(80)]
    for unit in [4096, 256, 52, 16]:
        # What stands in blocks.rs, for k of n blocks in a window.
        n = 2**20 / unit
        line = [(x, 1 + 256 / (k := x / 100 * n) * (1 - k / n)) for x in held if x / 100 * n >= 1]
        axes.plot(*zip(*line), color="#cccccc", linewidth=1.5, zorder=0)
        axes.annotate(f"blocks of {unit:,}", max(line[0], line[13]), (3, 4), textcoords="offset points", color=GREY, fontsize=9)
    for row in judged:
        if row["scheme"] in ("Blocks 52 x 2560 in 8 lanes", "Permutation", "Sequential"):
            continue
        own = row["scheme"].startswith("Blocks")
        x, y = float(row["held"]), float(row["variance"])
        axes.plot(x, y, "o", color=ORANGE if own else BLUE, markersize=7 if own else 5)
        label, offset = LABELS.get(row["scheme"], (row["scheme"], (7, -4)))
        side = "right" if offset[0] < 0 else "left"
        axes.annotate(label, (x, y), offset, textcoords="offset points", ha=side, fontsize=9)
    axes.set(xscale="log", yscale="log", xlim=(0.3, 400), ylim=(0.5, 600))
    axes.set(xlabel="samples held in memory, % of all")
    axes.set(ylabel="variance of a batch's shares of the classes\n(1: a full shuffle)")
    axes.set_xticks([1, 10, 100], ["1", "10", "100"])
    axes.set_yticks([1, 10, 100], ["1", "10", "100"])
    axes.minorticks_off()
    axes.set_title("2^20 samples sorted by label, ten classes, batches of 256; lines: predicted")
    axes.grid(axis="y", color="#dddddd")
    save(figure, "locality")

    columns = ["tail", "parity", "neighbours", "epochs", "seeds", "displacement", "inversions", "spearman", "missing"]
    name = lambda row: row["scheme"].replace(" x ", " × ")
    ms = lambda row: f"{1000 * float(row['first']):.2g}" if row["first"] else "-"
    variance = lambda row: f"{float(row['variance']):#.3g}".rstrip(".")
    table(
        ["", "held, %", "variance", *columns, "first batch, ms"],
        ([name(row), row["held"], variance(row), *(row[column] for column in columns), ms(row)] for row in judged),
    )
    compared = [row for row in rows if row["predicted"] and row["scheme"].startswith("Blocks")]
    table(
        ["", "h", "held, %", "predicted", "measured"],
        ([name(row), *(row[column] for column in ["h", "held", "predicted", "variance"])] for row in compared),
    )


epoch()
step()
models()
locality()
