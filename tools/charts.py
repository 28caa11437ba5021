"""The report's charts, drawn by matplotlib as SVG text that can stand in a page."""

import io
import re
from collections import Counter

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from effnet.results.metrics import interval
from tools.facts import RUNTIMES

FEW = 30  # classes that a chart can name one by one
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "effnet",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
matplotlib.rcParams["text.parse_math"] = False  # a class may be called $5; labels ask outside of any context


def new_figure(size=(5.2, 3.6)):
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots()


def curves(facts):
    """{title: svg} of what training logged for each epoch."""
    found = facts["curves"]
    _, clock = facts["provenance"].get("train", ({}, {}))
    timed = [{"step": record["epoch"], **record} for record in clock.get("epochs", [])]
    charts = {
        "Loss": {"training": "loss", "validation": "val_loss"},
        "Validation accuracy": {"top-1": "top1", "top-5": "top5"},
        "Learning rate": {"": "learning_rate"},
    }
    if timed:  # known only where the training ran
        charts["Training speed, images a second"] = {"": "images_per_second"}
        found = found | {"images_per_second": timed}
    drawn = {}
    for title, lines in charts.items():
        figure, axes = new_figure()
        by_epoch(axes, found, lines, markersize=3)
        if title == "Loss":  # validation's is often thousands at first, before batch normalisation has settled
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        elif title != "Validation accuracy":
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
            axes.ticklabel_format(axis="y", style="plain")
        if len(lines) > 1:
            axes.legend(frameon=False)
        drawn[title] = svg(figure)
    return drawn


def by_epoch(axes, curves, lines, scale=1, **style):
    """Draw `lines`, {label: name in `curves`}, against whole epochs."""
    for label, name in lines.items():
        rows = curves.get(name, [])
        values = [scale * float(row[name]) for row in rows]
        axes.plot([int(row["step"]) for row in rows], values, marker="o", label=label, **style)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def confusion(facts):
    """Which classes are taken for which: a matrix of a few classes, the most frequent confusions of many."""
    classes = [row["class"] for row in facts["per_class"]]
    pairs = Counter((row["actual"], row["predicted"]) for row in facts["per_image"])
    if len(classes) > FEW:
        wrong = [(pair, count) for pair, count in pairs.most_common() if pair[0] != pair[1]][:15]
        names = [f"{actual} taken for {taken}" for (actual, taken), _ in wrong]
        return bars(names, [count for _, count in wrong], "pictures")
    figure, axes = new_figure((5.2, 4.6))
    counts = [[pairs[actual, taken] for taken in classes] for actual in classes]
    axes.imshow([[count / max(1, sum(row)) for count in row] for row in counts], cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            if count and len(classes) <= 15:
                color = "white" if count > sum(row) / 2 else "black"
                axes.text(x, y, count, ha="center", va="center", fontsize=8, color=color)
    names = [name[:14] for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(len(classes)), names)
    axes.grid(False)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    return svg(figure)


def per_class(facts):
    """Top-1 of each class, worst first; of many classes the worst ones."""
    rows = sorted((row for row in facts["per_class"] if row["top1"]), key=lambda row: float(row["top1"]))[:FEW]
    return bars([row["class"] for row in rows], [float(row["top1"]) for row in rows], "top-1")


def reliability(facts):
    """Accuracy against confidence; the area of a point is its number of pictures."""
    rows = facts["calibration"]
    figure, axes = new_figure()
    images = sum(int(row["images"]) for row in rows)
    axes.plot([0, 1], [0, 1], color="gray", linewidth=1, linestyle="--")
    sizes = [20 + 400 * int(row["images"]) / images for row in rows]
    axes.scatter([float(row["confidence"]) for row in rows], [float(row["accuracy"]) for row in rows], sizes, alpha=0.7)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.03), ylim=(0, 1.05))
    return svg(figure)


def bars(names, values, label):
    figure, axes = new_figure((5.2, 0.9 + 0.24 * max(1, len(names))))
    axes.barh(range(len(names)), values)
    axes.set_yticks(range(len(names)), [name[:34] for name in names])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(label)
    return svg(figure)


def svg(figure):
    """The figure as an <svg> element that takes the width of its place."""
    text = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None})
    element = text.getvalue()[text.getvalue().index("<svg") :]
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt" ', "", element, count=1).replace("<svg", '<svg role="img"', 1)


def overview(facts):
    """The README's picture: validation accuracy of each epoch, and what each runtime reached, with its interval."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
    by_epoch(left, facts["curves"], {"top-1": "top1", "top-5": "top5"}, scale=100)
    left.set(ylabel="%", title="validation pictures answered right", ylim=(0, 102))
    left.legend(frameon=False)
    reached = list(facts["metrics"].items())
    for y, (_, found) in enumerate(reached):
        low, high = interval(found)
        right.plot([100 * low, 100 * high], [y, y], color="C0", linewidth=2)
        right.plot(100 * found["top1"], y, "o", color="C0")
        right.annotate(f"{100 * found['top1']:.2f}", (100 * found["top1"], y), (0, 6), textcoords="offset points")
    right.set_yticks(range(len(reached)), [RUNTIMES[name].title for name, _ in reached])
    right.set(
        xlabel="top-1, %, with its 95% interval", title="every runtime, the same pictures", ylim=(-0.6, len(reached))
    )
    right.invert_yaxis()
    figure.patch.set_facecolor("white")  # a reader's page may be dark
    return svg(figure)
