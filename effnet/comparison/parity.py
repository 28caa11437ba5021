"""Do the runtimes answer alike? Logits of the same pictures from several of them, compared pair by pair.

NumPy and matplotlib only.
"""

from itertools import combinations

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from effnet.errors import InputError
from effnet.files import whole

# Two float32 runtimes may differ by TOLERANCE in a logit, or by RELATIVE of the picture's largest logit where that is
# above ten. MindSpore's Sigmoid on a CPU is an approximation with a relative error of 2.6e-6, twenty times float32's
# rounding: through B2's 92 of them a picture with a logit of 45 came out 2e-3 off a float64 computation (ONNX Runtime:
# 1e-4). With an exact Sigmoid in its place the difference goes.
TOLERANCE, RELATIVE = 1e-3, 1e-4
# of the picture's largest logit, some ten units in float32's last place: classes closer than this are a tie
ROUNDING = 1e-6


def pairs(logits):
    """{"a-b": {"largest_difference", "equal_top1"}} for each pair of `logits`, {runtime: (n, classes) float32}; the
    share is of 1.

    Raises InputError where the arrays are of other pictures or classes, or hold what is no number.
    """
    shapes = {name: array.shape for name, array in logits.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(
            f"parity: the runtimes answered for other pictures or classes, {shapes}; "
            "run `dvc repro` to make all logits anew"
        )
    for name, array in logits.items():
        good = np.isfinite(array).all(axis=1)
        if not good.all():
            raise InputError(
                f"parity: {name} answered picture {good.argmin()} with what is no number; evaluate it again"
            )
    return {
        f"{a}-{b}": {
            "largest_difference": float(differences(logits[a], logits[b]).max()),
            "equal_top1": float((logits[a].argmax(axis=1) == logits[b].argmax(axis=1)).mean()),
        }
        for a, b in combinations(logits, 2)
    }


def differences(a, b):
    """(n,) largest absolute difference of a logit, by picture."""
    return np.abs(a.astype(np.float64) - b).max(axis=1)


def flips(a, b):
    """Indices of the pictures whose top-1 differs, save those where both runtimes hold the two classes for equal up
    to rounding.
    """
    rows = np.arange(len(a))
    mine, other = a.argmax(axis=1), b.argmax(axis=1)
    margin = np.maximum(a[rows, mine] - a[rows, other], b[rows, other] - b[rows, mine])
    return np.flatnonzero(margin > ROUNDING * np.maximum(np.abs(a).max(axis=1), np.abs(b).max(axis=1)))


def allowed(a, b):
    """(n,) how far a logit may be from the other runtime's, by picture."""
    return np.maximum(TOLERANCE, RELATIVE * np.maximum(np.abs(a), np.abs(b)).max(axis=1))


def check(logits, names):
    """Raise InputError, naming runtimes and picture, where two of `logits` differ by more than `allowed` or in a
    picture's top-1.

    logits: of float32 runtimes only; names: the pictures'.
    """
    for (first, a), (second, b) in combinations(logits.items(), 2):
        apart, most, flipped = differences(a, b), allowed(a, b), flips(a, b)
        worst = (apart / most).argmax()
        if apart[worst] > most[worst]:
            raise InputError(
                f"parity: {first} and {second} differ by {apart[worst]:.2g} in a logit of {names[worst]}, "
                f"more than {most[worst]:.2g}; look at metrics/parity.svg, "
                "and export and evaluate the same checkpoint with both"
            )
        if len(flipped):
            i = flipped[0]
            raise InputError(
                f"parity: {first} takes {names[i]} for class {a[i].argmax()}, {second} for class {b[i].argmax()} "
                f"({len(flipped)} such pictures); export and evaluate the same checkpoint with both"
            )


def draw(path, logits, reference="mindspore"):
    """An SVG: for each runtime, the largest difference from `reference` that a given share of the pictures stays
    below.
    """
    shares = np.linspace(0, 1, 101)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, array in logits.items():
        if name != reference:
            levels = np.quantile(differences(array, logits[reference]), shares, method="higher")
            axes.plot(100 * shares, np.maximum(levels, 1e-9), label=name)  # a logarithmic axis shows no zero
    axes.axhline(
        TOLERANCE, color="gray", linestyle="--", linewidth=1, label="most that float32 may differ, for logits up to ten"
    )
    axes.set(
        yscale="log",
        xlabel="pictures, % (sorted by difference)",
        ylabel="largest difference of a logit",
        title=f"Logits against {reference}'s",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    # with a salt of our own the same picture is the same bytes
    with matplotlib.rc_context({"svg.hashsalt": "effnet"}), whole(path, "w") as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
