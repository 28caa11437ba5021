"""Do the runtimes answer alike? Logits of the same pictures from several of them, compared pair by pair.

NumPy only.
"""

import math
from itertools import combinations

import numpy as np

from effnet.errors import InputError
from effnet.files import write_csv

# Two float32 runtimes may differ by TOLERANCE in a logit, or by RELATIVE of the picture's largest logit where that is
# above ten. MindSpore's Sigmoid on a CPU is an approximation with a relative error of 2.6e-6, twenty times float32's
# rounding: through B2's 92 of them a picture with a logit of 45 came out 2e-3 off a float64 computation (ONNX Runtime:
# 1e-4). With an exact Sigmoid in its place the difference goes.
TOLERANCE, RELATIVE = 1e-3, 1e-4
# of the picture's largest logit, some ten units in float32's last place: classes closer than this are a tie
ROUNDING = 1e-6
# How far all logits together may be from float32's (root mean square, as a share of theirs). bfloat16 has eight bits:
# 0.5% off on the demo's digits, 4.8% on those of smoke, whose model hardly learnt; the limit was set after these two.
# int8 was 4.3% and 19% off in ONNX Runtime, 4.6% and 17% in OpenVINO, which rounds in other places of the same file:
# there the one is the other's measure.
BFLOAT16, INT8 = 0.1, 2
SMALLEST = 1e-9  # difference that a logarithmic axis shows


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


def check_rounded(logits):
    """Raise InputError where OpenVINO's bfloat16 or int8, if they are among `logits`, are farther from ONNX Runtime's
    float32 than BFLOAT16, or INT8 times its int8.
    """
    limits = {"openvino_bfloat16": lambda: BFLOAT16, "openvino_int8": lambda: INT8 * _off(logits, "onnx_int8")}
    for name, limit in limits.items():
        if name in logits and (off := _off(logits, name)) > limit():
            raise InputError(
                f"parity: {name} is {off:.1%} off float32 (root mean square of the logits), more than {limit():.1%}; "
                "look at metrics/parity/pairs.csv, and take it out of onnx.openvino"
            )


def _off(logits, name):
    """Root mean square of the differences of a runtime's logits from "onnx"'s, as a share of theirs."""
    exact = logits["onnx"].astype(np.float64)
    return math.sqrt(np.square(logits[name] - exact).mean() / np.square(exact).mean())


def worst(table, runtimes):
    """The worst difference of a logit between two of `runtimes`, of what `pairs` found; see rounded_up."""
    return rounded_up(max(table[f"{a}-{b}"]["largest_difference"] for a, b in combinations(runtimes, 2)))


def rounded_up(value):
    """The next of ..., 0.1, 0.2, 0.5, 1, ... that is not below `value`: its further digits are a machine's."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{next(step for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)) * power:.0e}")


def write_tables(folder, table, logits, reference="mindspore"):
    """Write what `pairs` found as pairs.csv, and differences.csv for a plot: a row for each twentieth of the pictures.

    There each runtime has the largest difference of a logit from `reference`'s that this share stays below, as log10.
    """
    rows = [
        {
            "pair": pair,
            "largest_difference": rounded_up(found["largest_difference"]),
            "equal_top1": round(found["equal_top1"], 6),
        }
        for pair, found in table.items()
    ]
    write_csv(f"{folder}/pairs.csv", rows)
    levels = {"pictures": list(range(0, 101, 5))}
    for name, array in logits.items():
        if name != reference:
            found = np.quantile(
                differences(array, logits[reference]), np.linspace(0, 1, len(levels["pictures"])), method="higher"
            )
            levels[name] = [round(math.log10(max(SMALLEST, rounded_up(value))), 2) for value in found]
    columns = zip(*levels.values(), strict=True)
    write_csv(f"{folder}/differences.csv", [dict(zip(levels, row, strict=True)) for row in columns])
