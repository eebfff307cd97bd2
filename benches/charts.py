"""Draws figures/*.svg and writes the tables of README.md, between their marks, from data/*.csv. Needs matplotlib.

python3 benches/charts.py
"""

import re
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
# As the recommended blocks, as a shuffle, and not shuffled at all.
LEFT_OUT = ["Blocks 52 x 2560 in 8 lanes", "Permutation", "Sequential"]
FEATURES = {"none": ("default features", GREY), "simd": ("simd", SKY), "simd+rayon": ("simd, rayon", BLUE)}


def records(pattern):
    """The rows of the files, each as a dictionary; numbers are numbers, and what was not measured is None."""
    for path in sorted(HERE.glob(f"data/{pattern}.csv")):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        names, *rows = (re.split(r", *(?: |$)", line) for line in lines)
        yield from (dict(zip(names, map(value, row), strict=True)) for row in rows)


def value(cell):
    try:
        return float(cell) if cell not in ("", "nan") else None
    except ValueError:
        return cell


def save(figure, name):
    # Room for fonts that are wider than those here.
    figure.get_layout_engine().set(w_pad=0.12)
    figure.savefig(HERE / "figures" / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def table(head, rows):
    """The first cell of the head names the file."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(
        "|" + "|".join(cell if isinstance(cell, str) else short(cell) for cell in line) + "|" for line in lines
    )


def link(text, file):
    return f"[{text}](data/{file}.csv)"


def runs():
    """The files by what their first lines say: date, machine, versions, features."""
    found = {}
    for path in sorted(HERE.glob("data/*.csv")):
        line = path.read_text().split("\n", 1)[0].removeprefix("# ").rsplit("; ", 1)[0]
        found.setdefault(re.sub(r" \([0-9a-f]{9} [-0-9]+\)", "", line), []).append(link(path.stem, path.stem))
    return "\n".join(f"- {line}: {', '.join(files)}" for line, files in found.items())


def length(n):
    return f"2^{int(n).bit_length() - 1}" if n > 2**16 and int(n).bit_count() == 1 else f"{n:,.0f}"


def short(value):
    """Three digits; what was not measured is a dash."""
    return (
        "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    )


def ratio(a, b):
    return a / b if a and b else None


def epoch():
    rows = list(records("epoch"))
    lens = [row["len"] for row in rows]
    figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
    labels = {
        "numpy": ("numpy permutation", GREY),
        "torch": ("torch.randperm", GREEN),
        "rand": ("rand shuffle", BLUE),
        "gradstep 1T": ("gradstep", ORANGE),
    }
    for name, (label, color) in labels.items():
        times = [one_thread(row) if color == ORANGE else row[name] for row in rows]
        axes.plot(lens, times, "o-", color=color, linewidth=3 if color == ORANGE else 2, markersize=5, label=label)
    axes.set(xscale="log", yscale="log", xlabel="len, samples in an epoch", ylabel="nanoseconds per index")
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"], minor=False)
    axes.minorticks_off()
    axes.set_title("The shuffled order of an epoch, one thread; lower is better")
    axes.grid(axis="y", color="#dddddd")
    axes.legend(frameon=False)
    save(figure, "epoch")

    others = ["rand", "batched", "rip_shuffle", "torch", "numpy"]
    head = [link("len", "epoch"), "ours, ns", *(f"{name} /" for name in others), "2T, ns", "1T / 2T"]
    cells = lambda row: [one_thread(row), *(ratio(row[name], one_thread(row)) for name in others)]
    threads = lambda row: [row["gradstep"], row["gradstep 1T"] / row["gradstep"]] if row["len"] > 2**20 else ["-", "-"]
    return table(head, ([length(row["len"]), *cells(row), *threads(row)] for row in rows))


def one_thread(row):
    """Up to 2^20 an order is one thread's work, and handing it over to another is not."""
    return row["gradstep 1T" if row["len"] > 2**20 else "gradstep"]


def step():
    """Both features' runs beside the bare loop in the same process."""
    rows = list(records("step")), list(records("step_simd"))
    lens = sorted({row["n"] for row in rows[0]})
    lines = []
    for features, found in zip(["default features", "simd"], rows):
        for rule in RULES:
            times = {row["n"]: row for row in found if row["rule"] == rule}
            lines.append(
                [f"{rule}, {features}", times[64]["ours"], *(times[n]["bare"] / times[n]["ours"] for n in lens)]
            )
    head = [f"{link('loop /', 'step')} {link('ours', 'step_simd')}", "64: ours, ns", *map(length, lens)]
    return table(head, lines)


def peers():
    rows = [row for row in records("peers*") if row["dtype"] == "float32"]
    lens = sorted({row["n"] for row in rows})

    def ratios(features, rule, contenders):
        """For each length the least time of these contenders, in gradstep's of the same run."""
        found = [row for row in rows if (row["features"], row["rule"]) == (features, rule)]
        least = lambda names, n: min(
            (row["ns"] for row in found if row["n"] == n and row["contender"] in names), default=None
        )
        return [ratio(least(contenders, n), least(["gradstep"], n)) for n in lens]

    series = {(rule, features): ratios(features, rule, RUST) for rule in RULES for features in FEATURES}
    torch = {rule: ratios("simd+rayon", rule, ["torch fused 2T"]) for rule in RULES}
    figure, panels = plt.subplots(2, 2, figsize=(8, 6.4), sharex=True, sharey="row", layout="constrained")
    places = range(len(lens))
    for (upper, lower), rule in zip(panels.T, RULES):
        for i, (features, (label, color)) in enumerate(FEATURES.items()):
            upper.bar([x + 0.27 * (i - 1) for x in places], series[rule, features], 0.25, color=color, label=label)
        lower.bar(places, [value - 1 for value in torch[rule]], 0.6, bottom=1, color=GREEN)
        for x, value in zip(places, torch[rule]):
            lower.annotate(short(value), (x, max(value, 1)), (0, 3), textcoords="offset points", ha="center")
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
    lower.set_ylim(top=12000)
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
    front(rows)

    lines = []
    for rule in RULES:
        of = lambda name: link("fastest peer", f"peers_{name.replace('+', '_')}".removesuffix("_none"))
        lines += [[f"{rule}, {label}: {of(name)}", *series[rule, name]] for name, (label, _) in FEATURES.items()]
        lines.append([f"{rule}, simd, rayon: torch", *torch[rule]])
    return table(["theirs / ours", *map(length, lens)], lines)


def front(rows):
    """One step, everyone who takes it: for the front page. gradstep takes one thread for this length."""
    names = {name: name for name in ["gradstep", *RUST, "numpy"]} | {
        "torch fused 1T": "torch, 1 thread",
        "torch fused 2T": "torch, 2 threads",
    }
    key = {"features": "simd+rayon", "rule": "Momentum", "n": 65536}
    rows = [row for row in rows if row["contender"] in names and all(row[name] == value for name, value in key.items())]
    rows.sort(key=lambda row: -row["ns"])
    labels = [names[row["contender"]] for row in rows]
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.42 * len(rows)), layout="constrained")
    colors = [ORANGE if label == "gradstep" else GREY for label in labels]
    bars = axes.barh(labels, [row["ns"] for row in rows], 0.65, color=colors)
    axes.bar_label(bars, [f"{short(row['ns'] / 1000)} µs" for row in rows], padding=5)
    figure.suptitle("A momentum step of 65,536 f32 parameters (microseconds; shorter is better)", fontsize=12)
    axes.tick_params(axis="y", length=0, labelsize=12)
    axes.xaxis.set_visible(False)
    axes.margins(x=0.08)
    axes.spines[["left", "bottom"]].set_visible(False)
    save(figure, "peers")


def passes():
    rows = {}
    for row in records("passes"):
        rows.setdefault(row["pass"], {})[row["n"]] = row
    one, two = [4096, 65536, 2**20, 2**25], [2**20, 2**25]
    head = [link("loop / ours", "passes"), *(f"1T, {length(n)}" for n in one), *(f"2T, {length(n)}" for n in two)]
    head.append(f"ours: 1T / 2T, {length(two[1])}")
    lines = []
    for name, of in rows.items():
        line = [ratio(of[n]["bare 1T"], of[n]["ours 1T"]) for n in one]
        line += [ratio(of[n]["bare"], of[n]["ours"]) for n in two]
        line.append(ratio(of[two[1]]["ours 1T"], of[two[1]]["ours"]))
        lines.append([name.replace(";", ","), *line])
    return table(head, lines)


def models():
    rows = list(records("models"))
    names = list(dict.fromkeys(row["model"] for row in rows))
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
    for axes, model in zip(panels, names):
        found = [row for row in rows if row["model"] == model][::-1]
        times = [row["us"] / 1000 for row in found]
        labels = [row["contender"] for row in found]
        bars = axes.barh(
            labels, times, 0.7, color=[ORANGE if label.startswith("ParamGroups") else GREY for label in labels]
        )
        axes.bar_label(bars, [f"{time:.1f}" for time in times], padding=4)
        axes.set_title(model)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_visible(False)
        axes.margins(x=0.15)
        axes.spines[["left", "bottom"]].set_visible(False)
    figure.suptitle(
        "A momentum step of all tensors (milliseconds; shorter is better; 1T: one thread, else 2)", fontsize=12
    )
    save(figure, "models")

    adamw = list(records("models_adamw"))
    columns = [{row["contender"]: row["us"] for row in rows if row["model"] == model} for model in names]
    columns.append({row["contender"]: row["us"] for row in adamw if row["model"] == names[0]})
    cell = lambda column, name: f"{short(column[name])} ({column[name] / column['ParamGroups']:.2f})"
    lines = [[name, *(cell(column, name) for column in columns)] for name in columns[0]]
    head = [link("µs (/ ParamGroups)", "models"), *names, f"{link('AdamW', 'models_adamw')}, {names[0]}"]
    return table(head, lines)


def average():
    times = {}
    for row in records("average"):
        times.setdefault(row["n"], {})[row["contender"]] = row["us"]
    head = [
        link("n", "average"),
        "ours, µs",
        "torch / ours",
        "one pass / ours",
        "1T: ours, µs",
        "torch / ours",
        "one pass / ours",
    ]
    cells = lambda of, t, ours: [of[ours], of[t] / of[ours], of["one pass without a check" + ours[8:]] / of[ours]]
    lines = (
        [length(n), *cells(of, "torch fused 2T", "gradstep"), *cells(of, "torch fused 1T", "gradstep 1T")]
        for n, of in times.items()
    )
    return table(head, lines)


def dead():
    cells = {}
    for row in records("dead"):
        worst = max(row[share] for share in ("1 %", "10 %", "100 %")) / row["live"]
        rule, kind = row["rule"].rsplit(" of ", 1)
        cells.setdefault(rule, {})[kind] = f"{short(row['live'])} ({worst:.2f})"
    kinds = ["f32", "f64", "bf16", "f16"]
    lines = ([rule, *(of.get(kind, "-") for kind in kinds)] for rule, of in cells.items())
    return table([link("µs (dead / live)", "dead"), *kinds], lines)


def pauses():
    passes = ["global_norm", "Sgd::step", "Momentum::step", "Adam::step"]
    rows = [row for row in records("pauses") if row["pause"] == 1000 and row["n"] in (2**17, 2**18, 2**20)]
    name = lambda row: f"{length(row['n'])}, {row['threads'].replace(';', ',')}"
    return table(
        [link("n, threads", "pauses"), *passes], ([name(row), *(row[name] for name in passes)] for row in rows)
    )


def groups():
    orders, lens = {}, [1000, 10_000]
    for row in records("groups"):
        orders.setdefault(row["order"], {})[row["n"]] = [row["named"], row["bare"]]
    head = [link("order, µs", "groups"), *(f"{length(n)}, {name}" for n in lens for name in ("named", "bare"))]
    return table(head, ([order, *of[lens[0]], *of[lens[1]]] for order, of in orders.items()))


def permutation():
    first, *rows = records("permutation")
    head = [link("len", "permutation"), *(length(row["len"]) for row in rows), f"`refill`, {length(first['len'])}"]
    return table(head, [["ns", *(row["ns"] for row in [*rows, first])]])


def draws():
    simd, plain = list(records("draws_simd")), {(row["draw"], row["len"]): row for row in records("draws")}
    others = ["rand", "torch", "numpy"]
    head = [
        link("fill of 16,384", "draws_simd"),
        "simd: ours, ns",
        *(f"{name} /" for name in others),
        f"{link('without', 'draws')}: ours, ns",
        "rand /",
    ]
    lines = []
    for row in simd:
        if row["len"] in (1, 16384):
            name = row["draw"] + (", singly" if row["len"] == 1 else "")
            slow = plain[row["draw"], row["len"]]
            ratios = [ratio(row[name], row["gradstep"]) for name in others]
            lines.append([name, row["gradstep"], *ratios, slow["gradstep"], ratio(slow["rand"], slow["gradstep"])])
    return table(head, lines)


def weighted():
    rows = [row for row in records("weighted") if row["order"] == "Weighted"]
    others = ["rand_distr", "torch", "numpy"]
    head = [
        link("weights", "weighted"),
        "ours, ns",
        *(f"{name} /" for name in others),
        "to make: ours, ns",
        "rand_distr /",
    ]
    make = lambda row: [row["gradstep to make"], ratio(row["rand_distr to make"], row["gradstep to make"])]
    cells = lambda row: [row["gradstep"], *(ratio(row[name], row["gradstep"]) for name in others), *make(row)]
    return table(head, ([length(row["len"]), *cells(row)] for row in rows))


def mixtures():
    rows = [row for row in records("weighted") if row["order"] != "Weighted"]
    head = [link("10 classes of 10^6", "weighted"), *(row["order"] for row in rows)]
    lines = {"to make": "gradstep to make", "an epoch refilled": "gradstep"}
    return table(head, ([title, *(row[name] for row in rows)] for title, name in lines.items()))


def gather():
    rows = list(records("gather"))
    head = [link("bytes per row", "gather"), *(length(row["bytes"]) for row in rows)]
    lines = [
        ["gather, ns", *(row["gather"] for row in rows)],
        ["bare loop / gather", *(row["bare"] / row["gather"] for row in rows)],
    ]
    return table(head, lines)


def locality():
    rows = list(records("locality"))
    judged = [row for row in rows if row["tail"] is not None]
    figure, axes = plt.subplots(figsize=(8, 5.6), layout="constrained")
    held = [2 ** (i / 8) / 10 for i in range(80)]
    for unit in [4096, 256, 52, 16]:
        # What stands in blocks.rs, for k of n blocks in a window.
        n = 2**20 / unit
        line = [(x, 1 + 256 / (k := x / 100 * n) * (1 - k / n)) for x in held if x / 100 * n >= 1]
        axes.plot(*zip(*line), color="#cccccc", linewidth=1.5, zorder=0)
        axes.annotate(
            f"blocks of {unit:,}", max(line[0], line[13]), (3, 4), textcoords="offset points", color=GREY, fontsize=9
        )
    for row in judged:
        if row["scheme"] in LEFT_OUT:
            continue
        own = row["scheme"].startswith("Blocks")
        x, y = row["held"], row["variance"]
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

    columns = {"tail": ".2f", "neighbours": ",.0f", "epochs": "z.2f", "seeds": "z.2f", "spearman": ".3f"}
    name = lambda row: row["scheme"].replace(" x ", " × ")
    ms = lambda row: f"{1000 * row['first']:.2g}" if row["first"] else "-"
    cells = lambda row: (format(row[column], digits) for column, digits in columns.items())
    head = [link("scheme", "locality"), "held, %", "variance", *columns, "first batch, ms"]
    shown = [row for row in judged if row["scheme"] not in LEFT_OUT]
    return table(head, ([name(row), row["held"], row["variance"], *cells(row), ms(row)] for row in shown))


README = HERE / "README.md"
write = lambda match: f"<!-- table: {match[1]} -->\n{globals()[match[1]]()}\n<!-- end -->"
README.write_text(re.sub(r"<!-- table: (\w+) -->.*?<!-- end -->", write, README.read_text(), flags=re.S))
