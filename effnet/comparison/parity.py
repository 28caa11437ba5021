"""Do the runtimes answer alike? Logits of the same pictures from several of them, compared pair by pair.

NumPy only.
"""

import math
from itertools import combinations

import numpy as np

from effnet.errors import InputError
from effnet.files import write_csv

# Differences of logits are told as a share of the picture's largest one, which counts as LEAST where it is smaller. Two
# float32 runtimes may differ by TOLERANCE. What is below is rounding, and another processor's is another: it is
# recorded as TOLERANCE. MindSpore's Sigmoid on a CPU is an approximation with a relative error of 2.6e-6, twenty times
# float32's rounding: through B2's 92 of them a picture with a logit of 45 came out 2e-3 off a float64 computation (ONNX
# Runtime: 1e-4). With an exact Sigmoid in its place the difference goes.
TOLERANCE, LEAST = 1e-4, 10
# of the picture's largest logit, some ten units in float32's last place: classes closer than this are a tie
ROUNDING = 1e-6
# How far all logits together may be from float32's (root mean square, as a share of theirs), by precision: twice the
# worst that rounding emulated in float32 makes of real models and pictures, or more (bench/precision.py). int8 has a
# measure of its own: OpenVINO rounds in other places of the same file, and may be INT8 times as far as ONNX Runtime.
LIMITS, INT8 = {"tf32": 0.01, "float16": 0.02, "bfloat16": 0.1}, 2


def pairs(logits):
    """{"a-b": {"largest_difference", "equal_top1"}}, shares of 1, for each pair of `logits`, {runtime: (n, classes)
    float32}.

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
            "largest_difference": float(shares(logits[a], logits[b]).max()),
            "equal_top1": float((logits[a].argmax(axis=1) == logits[b].argmax(axis=1)).mean()),
        }
        for a, b in combinations(logits, 2)
    }


def differences(a, b):
    """(n,) largest absolute difference of a logit, by picture."""
    return np.abs(a.astype(np.float64) - b).max(axis=1)


def sizes(a, b):
    """(n,) largest absolute logit of both, LEAST where it is smaller, by picture."""
    return np.maximum(LEAST, np.maximum(np.abs(a), np.abs(b)).max(axis=1))


def shares(a, b):
    """(n,) differences as a share of sizes."""
    return differences(a, b) / sizes(a, b)


def flips(a, b):
    """Indices of the pictures whose top-1 differs, save those where both runtimes hold the two classes for equal up
    to rounding.
    """
    rows = np.arange(len(a))
    mine, other = a.argmax(axis=1), b.argmax(axis=1)
    margin = np.maximum(a[rows, mine] - a[rows, other], b[rows, other] - b[rows, mine])
    return np.flatnonzero(margin > ROUNDING * np.maximum(np.abs(a).max(axis=1), np.abs(b).max(axis=1)))


def check(logits, names):
    """Raise InputError, naming runtimes and picture, where two of `logits` differ by more than TOLERANCE or in a
    picture's top-1.

    logits: of float32 runtimes only; names: the pictures'.
    """
    for (first, a), (second, b) in combinations(logits.items(), 2):
        apart, flipped = shares(a, b), flips(a, b)
        worst = apart.argmax()
        if apart[worst] > TOLERANCE:
            size = sizes(a, b)[worst]
            raise InputError(
                f"parity: {first} and {second} differ by {apart[worst] * size:.2g} in a logit of {names[worst]}, "
                f"more than {TOLERANCE * size:.2g}; export and evaluate the same checkpoint with both"
            )
        if len(flipped):
            i = flipped[0]
            raise InputError(
                f"parity: {first} takes {names[i]} for class {a[i].argmax()}, {second} for class {b[i].argmax()} "
                f"({len(flipped)} such pictures); export and evaluate the same checkpoint with both"
            )


def check_rounded(logits, precisions):
    """Raise InputError where a runtime that rounds is farther from one that does not than LIMITS says of its precision,
    or OpenVINO's int8 farther than INT8 times ONNX Runtime's.

    precisions: `{runtime: "float32", "tf32", "float16", "bfloat16" or "int8"}`. Where all round, the first is what the
    others are compared with, and its limit is added to theirs.
    """
    reference = next((name for name in logits if precisions[name] == "float32"), next(iter(logits)))
    offs = {name: off(array, logits[reference]) for name, array in logits.items()}
    limits = {name: LIMITS[precisions[name]] for name in logits if precisions[name] in LIMITS}
    if "openvino_int8" in logits:
        limits["openvino_int8"] = INT8 * offs["onnx_int8"]
    for name, limit in limits.items():
        limit += limits.get(reference, 0)
        if offs[name] > limit:
            raise InputError(
                f"parity: {name}, in {precisions[name]}, is {offs[name]:.1%} off {reference} (root mean square of the "
                f"logits), more than {limit:.1%}; look at metrics/parity/pairs.csv, and evaluate it in float32"
            )


def off(logits, reference):
    """Root mean square of the differences of (n, classes) `logits` from the reference's, as a share of theirs."""
    exact = reference.astype(np.float64)
    return math.sqrt(np.square(logits - exact).mean() / np.square(exact).mean())


def worst(table, runtimes):
    """The worst difference of a logit between two of `runtimes`, of what `pairs` found, as it is recorded."""
    return recorded(max(table[f"{a}-{b}"]["largest_difference"] for a, b in combinations(runtimes, 2)))


def recorded(share):
    """A difference as every processor tells it: TOLERANCE where it is less, else rounded up."""
    return rounded_up(max(TOLERANCE, share))


def rounded_up(value):
    """The next of ..., 0.1, 0.2, 0.5, 1, ... that is not below `value`: its further digits are a machine's."""
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{next(step for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)) * power:.0e}")


def write_tables(folder, table, logits, reference="mindspore", plotted=()):
    """Write what `pairs` found as pairs.csv, and differences.csv for a plot: a row for each twentieth of the pictures.

    There each runtime has the largest difference of a logit from `reference`'s that so many stay below, as log10.
    Those of `plotted` that did not answer have an empty column: DVC draws nothing of a table that lacks one.
    """
    rows = [
        {
            "pair": pair,
            "largest_difference": recorded(found["largest_difference"]),
            "equal_top1": round(found["equal_top1"], 6),
        }
        for pair, found in table.items()
    ]
    write_csv(f"{folder}/pairs.csv", rows)
    levels = {"pictures": list(range(0, 101, 5))}
    for name in dict.fromkeys((*plotted, *logits)):
        if name not in logits:
            levels[name] = [""] * len(levels["pictures"])
        elif name != reference:
            found = np.quantile(
                shares(logits[name], logits[reference]),
                np.linspace(0, 1, len(levels["pictures"])),
                method="higher",
            )
            levels[name] = [round(math.log10(recorded(value)), 2) for value in found]
    columns = zip(*levels.values(), strict=True)
    write_csv(f"{folder}/differences.csv", [dict(zip(levels, row, strict=True)) for row in columns])
