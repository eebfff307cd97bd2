"""Draws figures/*.svg and writes README.md's tables, from a mark to the next empty line, out of data/*.csv.

Needs matplotlib: python3 benches/charts.py
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
# Where names would lie on each other: where the text begins or ends, in points from the dot, and what is one text.
OFFSETS = {"MosaicML py1s": (8, 2), "MosaicML py1br": (7, 2), "MosaicML py1e": (-7, -4), "CorgiPile": (-7, -13)}
OFFSETS |= {"Blocks 16 × 2560": (6, -15), "Blocks 52 × 2560": (7, 2), "Blocks 256 × 512": (7, 4)}
OFFSETS |= {"Levanter's windows": (0, -16)}
TEXTS = {"Grain's window": "Grain's window, Levanter's eras", "CorgiPile": "CorgiPile, FFCV"}
TEXTS |= {"Levanter's eras": "", "FFCV quasi-random": ""}
# As the recommended blocks, as a shuffle, and not shuffled at all.
LEFT_OUT = ["Blocks 52 × 2560 in 8 lanes", "Permutation", "Sequential"]
# What the features add to a file's name.
FEATURES = {"": ("default features", GREY), "_simd": ("simd", SKY), "_simd_rayon": ("simd, rayon", BLUE)}
# Whose least time is the fastest Rust peer's.
RUST = ["descend", "stochastic_optimizers", "candle-optimisers", "burn"]
RULES = ["Sgd", "Momentum"]
# Rows that a table leaves to the file, since they say what another one says.
ALIKE = ["check_finite", "clip_global_norm, clips", "clip_value", "Accumulator::add", "Accumulator::mean", "Adam::step"]
ALIKE += ["WeightAverage::swap", "live / WeightAverage::update of parameters that became 0", "Sgd::step"]
ALIKE += ["bf16 norm / global_norm of bf16", "two calls / step_clipped, Sgd", "two calls / step_clipped, does not clip"]
ALIKE += ["a thousand of 64, AdamW", "1,000 of 4, each step a new order", "2^20, with average", "10,000"]
ALIKE += ["uniform f32, singly", "Mixture::balanced, 10,000,000", "MosaicML py1e", "FFCV quasi-random"]
ALIKE += ["Levanter's eras"]


def records(file):
    """The rows, each as a dictionary; numbers are numbers, and what was not measured is None."""
    lines = [line for line in (HERE / f"data/{file}.csv").read_text().splitlines() if not line.startswith("#")]
    names, *rows = (re.split(r", *(?: |$)", line) for line in lines)
    return [dict(zip(names, map(value, row), strict=True)) for row in rows]


def value(cell):
    try:
        return float(cell) if cell not in ("", "nan") else None
    except ValueError:
        return cell


def by(rows, outer, inner, column=None):
    """For each value of `outer`: of each value of `inner`, the row, or its cell in `column`."""
    found = {}
    for row in rows:
        found.setdefault(row[outer], {})[row[inner]] = row[column] if column else row
    return found


def save(figure, name):
    # Room for fonts that are wider than those here.
    figure.get_layout_engine().set(w_pad=0.12)
    figure.savefig(HERE / "figures" / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def table(head, rows):
    shown = (row for row in rows if row[0].split("](")[0].lstrip("[") not in ALIKE)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *shown]
    return "\n".join(f"|{'|'.join(map(short, line))}|" for line in lines)


def link(text, file):
    return f"[{text}](data/{file}.csv)"


def length(n):
    return f"2^{int(n).bit_length() - 1}" if n > 2**16 and int(n).bit_count() == 1 else f"{n:,.0f}"


def short(cell):
    """Three digits; what was not measured is a dash."""
    return cell if isinstance(cell, str) else "-" if cell is None else f"{cell:,.{(cell < 100) + (cell < 10)}f}"


def ratio(a, b):
    return a / b if a and b else None


def beside(times, ours, *others):
    """Our time, and the others' in ours."""
    return [times.get(ours), *(ratio(times.get(name), times.get(ours)) for name in others)]


def runs():
    """What the first lines of at least half the files say, and the files that say anything else."""
    paths, files = sorted(HERE.glob("data/*.csv")), {}
    for path in paths:
        line = path.read_text().split("\n", 1)[0].removeprefix("# ").rsplit("; ", 1)[0]
        line = re.sub(r" \([0-9a-f]{9} [-0-9]+\)", "", line).replace(", 1 cores", ", 1 core")
        line = re.sub(r"; (simd|rayon|simd\+rayon)$", r"; features \1", line).replace("; none", "; default features")
        for part in re.split(r"; |(?<=\)), |, (?=numpy)", line):
            files.setdefault(part, []).append(path.stem)
    usual = [part for part, names in files.items() if 2 * len(names) >= len(paths)]
    others = [f"- {part}: {', '.join(names)}" for part, names in files.items() if part not in usual]
    return "\n".join(["- most files: " + "; ".join(usual), *others])


def step():
    def times(file, rule):
        """Nanoseconds of each contender at each length."""
        rows = [row for row in records(file) if row["rule"] == rule and row.get("dtype", "float32") == "float32"]
        if "contender" in rows[0]:
            return by(rows, "n", "contender", "ns")
        return {row["n"]: {"gradstep": row["ours"], "bare": row["bare"]} for row in rows}

    def ratios(found, contenders):
        """At each length, the least time of these contenders, in gradstep's."""
        least = lambda of: min((of[name] for name in contenders if name in of), default=None)
        return [ratio(least(of), of["gradstep"]) for _, of in sorted(found.items())]

    peers = {(rule, suffix): times(f"peers{suffix}", rule) for rule in RULES for suffix in FEATURES}
    fastest = {key: ratios(found, RUST) for key, found in peers.items()}
    torch = {rule: ratios(peers[rule, "_simd_rayon"], ["torch fused 2T"]) for rule in RULES}
    lens = sorted(peers["Sgd", ""])
    figure, panels = plt.subplots(2, 2, figsize=(8, 6.4), sharex=True, sharey="row", layout="constrained")
    places = range(len(lens))
    for (upper, lower), rule in zip(panels.T, RULES):
        for i, (suffix, (label, color)) in enumerate(FEATURES.items()):
            upper.bar([x + 0.27 * (i - 1) for x in places], fastest[rule, suffix], 0.25, color=color, label=label)
        lower.bar(places, [value - 1 for value in torch[rule]], 0.6, bottom=1, color=GREEN)
        for x, value in zip(places, torch[rule]):
            lower.annotate(short(value), (x, max(value, 1)), (0, 3), textcoords="offset points", ha="center")
        upper.set_title(rule)
        lower.set(yscale="log", xlabel="parameters (f32)")
        names = [f"$2^{{{length(n)[2:]}}}$" if "^" in length(n) else length(n) for n in lens]
        lower.set_xticks(places, names, rotation=35, ha="right", rotation_mode="anchor")
        for axes in (upper, lower):
            axes.axhline(1, color=ORANGE, linewidth=2)
            axes.tick_params(axis="x", length=0)
    lower.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    lower.set_ylim(top=12000)
    panels[0][0].set_ylabel("fastest Rust peer,\ntime / gradstep's")
    panels[1][0].set_ylabel("torch's fused SGD, 2 threads,\ntime / gradstep's (log)")
    figure.suptitle("Others' time of a step, in gradstep's (the line at 1): above it gradstep is faster", fontsize=12)
    handles, title = panels[0][0].get_legend_handles_labels(), "gradstep's features (torch: both)"
    figure.legend(*handles, frameon=False, ncols=3, loc="outside lower center", title=title)
    save(figure, "step")
    front(peers["Momentum", "_simd_rayon"][65536])

    lines = []
    for (rule, suffix), found in peers.items():
        title = f"{rule}, {FEATURES[suffix][0]}"
        if suffix != "_simd_rayon":
            alone = times(f"step{suffix}", rule)
            lines.append([f"{title}: {link('loop', f'step{suffix}')}", alone[64]["gradstep"], *ratios(alone, ["bare"])])
        peer = f"{title}: {link('fastest peer', f'peers{suffix}')}"
        lines.append([peer, found[64]["gradstep"], *fastest[rule, suffix]])
        if suffix == "_simd_rayon":
            lines.append([f"{title}: torch", found[64]["gradstep"], *torch[rule]])
    return table(["theirs / ours", "64: ours, ns", *map(length, lens)], lines)


def front(times):
    """One step, everyone who takes it: for the front page. gradstep takes one thread for this length."""
    torch = {"torch fused 1T": "torch, 1 thread", "torch fused 2T": "torch, 2 threads"}
    names = {name: name for name in ["gradstep", *RUST, "numpy"]} | torch
    times = sorted(((time, names[name]) for name, time in times.items() if name in names), reverse=True)
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.42 * len(times)), layout="constrained")
    colors = [ORANGE if name == "gradstep" else GREY for _, name in times]
    drawn = axes.barh([name for _, name in times], [time for time, _ in times], 0.65, color=colors)
    axes.bar_label(drawn, [f"{short(time / 1000)} µs" for time, _ in times], padding=5)
    figure.suptitle("A momentum step of 65,536 f32 parameters (microseconds; shorter is better)", fontsize=12)
    axes.tick_params(axis="y", length=0, labelsize=12)
    axes.xaxis.set_visible(False)
    axes.margins(x=0.08)
    axes.spines[["left", "bottom"]].set_visible(False)
    save(figure, "peers")


def passes():
    one, two, last = [4096, 65536, 2**20, 2**25], 2**20, 2**25
    head = [link("loop /", "passes"), *(f"1T, {length(n)}" for n in one), f"2T, {length(two)}"]
    lines = []
    for name, of in by(records("passes"), "pass", "n").items():
        cells = [ratio(of[n]["bare 1T"], of[n]["ours 1T"]) for n in one]
        cells += [ratio(of[two]["bare"], of[two]["ours"]), ratio(of[last]["ours 1T"], of[last]["ours"])]
        lines.append([name.replace(";", ","), *cells])
    return table([*head, f"ours: 1T / 2T, {length(last)}"], lines)


def pauses():
    passes = ["global_norm", "Sgd::step", "Momentum::step", "Adam::step"]
    rows = by((row for row in records("pauses") if row["pause"] == 1000), "n", "threads")
    cell = lambda of, name: "{:.2f} ({:.2f})".format(*(of["one"][name] / of[two][name] for two in list(of)[1:]))
    lines = ([length(n), *(cell(rows[n], name) for name in passes)] for n in (2**17, 2**18, 2**20))
    return table([link("1T / 2T", "pauses"), *passes], lines)


def dead():
    rules, lines = dict.fromkeys(row["rule"].rsplit(" of ", 1)[0] for row in records("dead")), {}
    for row in records("dead"):
        rule, kind = row["rule"].rsplit(" of ", 1)
        worst = max(row[share] for share in ("1 %", "10 %", "100 %")) / row["live"]
        lines.setdefault(kind, dict.fromkeys(rules, "-"))[rule] = f"{short(row['live'])} ({worst:.2f})"
    head = [link("µs (dead / live)", "dead"), *rules]
    return table(head, ([kind, *lines[kind].values()] for kind in ("f32", "f64", "bf16", "f16")))


def models():
    torch, lines = ["torch fused 2T", "torch fused 1T"], []

    def line(title, file, times, two, one, loop):
        cells = [*beside(times, two, torch[0], "flat"), *beside(times, one, torch[1], loop)]
        lines.append([link(title, file), *cells])

    for file, rule in {"models": "", "models_adamw": ", AdamW"}.items():
        for model, times in by(records(file), "model", "contender", "us").items():
            line(model + rule, file, times, "ParamGroups", "ParamGroups 1T", "bare loops 1T")
    for row in records("groups"):
        if row["n"] > 100 and row["order"] != "that of the last step":
            order = row["order"].replace("a new one each step", "each step a new order")
            line(f"{length(row['n'])} of 4, {order}", "groups", row, None, "named", "bare")
    for n, times in by(records("average"), "n", "contender", "us").items():
        title = f"{length(n)}, with average"
        line(title, "average", times, "gradstep", "gradstep 1T", "one pass without a check 1T")
    return table(["µs", "2T: ours", "torch /", "flat /", "1T: ours", "torch /", "loop /"], lines)


def epoch():
    rows = records("epoch")
    for row in rows:
        if row["len"] <= 2**20:
            # One thread's work; handing it over to another is not.
            row |= {"gradstep 1T": row["gradstep"], "gradstep": None}
    lens = [row["len"] for row in rows]
    figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
    lines = [("numpy", "numpy permutation", GREY), ("torch", "torch.randperm", GREEN), ("rand", "rand shuffle", BLUE)]
    for name, label, color in [*lines, ("gradstep 1T", "gradstep", ORANGE)]:
        times, width = [row[name] for row in rows], 3 if color == ORANGE else 2
        axes.plot(lens, times, "o-", color=color, linewidth=width, markersize=5, label=label)
    axes.set(xscale="log", yscale="log", xlabel="len, samples in an epoch", ylabel="nanoseconds per index")
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"], minor=False)
    axes.minorticks_off()
    axes.set_title("The shuffled order of an epoch, one thread; lower is better")
    axes.grid(axis="y", color="#dddddd")
    axes.legend(frameon=False)
    save(figure, "epoch")

    others = ["rand", "batched", "rip_shuffle", "torch", "numpy"]
    head = [link("len", "epoch"), "1T, ns", *(f"{name} /" for name in others), "2T, ns", "1T / 2T"]
    cells = lambda row: [*beside(row, "gradstep 1T", *others), *beside(row, "gradstep", "gradstep 1T")]
    permutation = {row["len"]: row["ns"] for row in records("permutation") if row["order"].startswith("Permutation")}
    lines = ([length(row["len"]), *cells(row), permutation.get(row["len"])] for row in rows)
    return table([*head, link("Permutation, ns", "permutation")], lines)


def draws():
    plain = by(records("draws"), "draw", "len")
    others = ["rand", "torch", "numpy"]
    head = [link("16,384 at once", "draws_simd"), "simd: ours, ns", *(f"{name} /" for name in others)]
    head += [f"{link('without', 'draws')}: ours, ns", "rand /"]
    lines = []
    for row in records("draws_simd"):
        if row["len"] in (1, 16384):
            name = row["draw"] + (", singly" if row["len"] == 1 else "")
            cells = beside(row, "gradstep", *others) + beside(plain[row["draw"]][row["len"]], "gradstep", "rand")
            lines.append([name, *cells])
    return table(head, lines)


def weighted():
    others = ["rand_distr", "torch", "numpy"]
    head = [link("order, samples", "weighted"), "ours, ns", *(f"{name} /" for name in others)]
    cells = lambda row: beside(row, "gradstep", *others) + beside(row, "gradstep to make", "rand_distr to make")
    lines = ([f"{row['order']}, {length(row['len'])}", *cells(row)] for row in records("weighted"))
    return table([*head, "to make: ours, ns", "rand_distr /"], lines)


def locality():
    judged = [row | {"scheme": row["scheme"].replace(" x ", " × ")} for row in records("locality") if row["tail"]]
    judged = [row for row in judged if row["scheme"] not in LEFT_OUT]
    figure, axes = plt.subplots(figsize=(8, 5.6), layout="constrained")
    held = [2 ** (i / 8) / 10 for i in range(80)]
    for unit in [4096, 256, 52, 16]:
        # What stands in blocks.rs, for k of n blocks in a window.
        n = 2**20 / unit
        line = [(x, 1 + 256 / (k := x / 100 * n) * (1 - k / n)) for x in held if x / 100 * n >= 1]
        axes.plot(*zip(*line), color="#cccccc", linewidth=1.5, zorder=0)
        text, at = f"blocks of {unit:,}", max(line[0], line[13])
        axes.annotate(text, at, (3, 4), textcoords="offset points", color=GREY, fontsize=9)
    for row in judged:
        own = row["scheme"].startswith("Blocks")
        x, y = row["held"], row["variance"]
        axes.plot(x, y, "o", color=ORANGE if own else BLUE, markersize=7 if own else 5)
        label, offset = TEXTS.get(row["scheme"], row["scheme"]), OFFSETS.get(row["scheme"], (7, -4))
        side = "right" if offset[0] < 0 else "left"
        axes.annotate(label, (x, y), offset, textcoords="offset points", ha=side, fontsize=9)
    axes.set(xscale="log", yscale="log", xlim=(0.3, 400), ylim=(0.5, 600), xlabel="samples held in memory, % of all")
    axes.set(ylabel="variance of a batch's shares of the classes\n(1: a full shuffle)")
    axes.set_xticks([1, 10, 100], ["1", "10", "100"])
    axes.set_yticks([1, 10, 100], ["1", "10", "100"])
    axes.minorticks_off()
    axes.set_title("2^20 samples sorted by label, ten classes, batches of 256; lines: predicted")
    axes.grid(axis="y", color="#dddddd")
    save(figure, "locality")

    columns = {"tail": ".2f", "neighbours": ",.0f", "epochs": "z.2f", "seeds": "z.2f", "spearman": ".3f"}
    ms = lambda row: f"{1000 * row['first']:.2g}" if row["first"] else "-"
    cells = lambda row: (format(row[column], digits) for column, digits in columns.items())
    head = [link("scheme", "locality"), "held, %", "variance", *columns, "first batch, ms"]
    return table(head, ([row["scheme"], row["held"], row["variance"], *cells(row), ms(row)] for row in judged))


def train():
    head = [link("threads", "train"), "gradstep, s", "torch /", "gradstep, %", "torch, %"]
    lines = []
    for threads, runs in by(records("train"), "threads", "network").items():
        times = {name: run["least"] for name, run in runs.items()}
        accuracies = (f"{runs[name]['accuracy']:.2f} ± {runs[name]['deviation']:.2f}" for name in ("gradstep", "torch"))
        lines.append([f"{threads:.0f}", *beside(times, "gradstep", "torch"), *accuracies])
    return table(head, lines)


README = HERE / "README.md"
write = lambda match: f"<!-- table: {match[1]} -->\n{globals()[match[1]]()}\n"
README.write_text(re.sub(r"<!-- table: (\w+) -->\n(?:.+\n)*", write, README.read_text()))
