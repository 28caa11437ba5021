"""Do two models differ? Exact McNemar test and an interval on the difference of top-1, from their answers to the
same pictures.
"""

import math
from collections import namedtuple

from scipy.stats import binomtest

from effnet import parsed
from effnet.errors import InputError

SIGNIFICANT = 0.05  # chance of calling two equally good models different
Z = 1.959963984540054  # 95%

# images; top1_a, top1_b: shares of 1; only_a, only_b: pictures that only this model got right; difference: top1_b -
# top1_a; half_width: of its 95% interval, low..high; p: exact McNemar, two-sided
Comparison = namedtuple("Comparison", "images top1_a top1_b only_a only_b difference half_width low high p")


def read(lines, name):
    """`{picture: (actual, predicted)}` of a per_image.csv given as lines; `name` is what an InputError calls it."""
    rows = parsed.rows(lines, name, dict.fromkeys(("name", "actual", "predicted"), str))
    if not rows:
        raise InputError(f"{name}: no predictions in it; `dvc repro evaluate` writes them")
    return {row["name"]: (row["actual"], row["predicted"]) for row in rows}


def compare(a, b, names=("A", "B")):
    """`Comparison` of two tables as `read` gives them.

    Raises InputError unless both are of the same pictures with the same labels.
    """
    if a.keys() != b.keys():
        raise InputError(
            f"{names[0]} and {names[1]} were evaluated on different pictures ({len(a.keys() - b.keys())} of {len(a)} "
            f"and {len(b.keys() - a.keys())} of {len(b)} have no partner); evaluate both on the same data"
        )
    relabelled = [name for name in a if a[name][0] != b[name][0]]
    if relabelled:
        raise InputError(
            f"{len(relabelled)} pictures, {relabelled[0]} first, have other labels in {names[1]} than in {names[0]}"
        )
    right = [(a[name][0] == a[name][1], b[name][0] == b[name][1]) for name in a]
    only_a, only_b = right.count((True, False)), right.count((False, True))
    return Comparison(
        len(right), sum(x for x, _ in right) / len(right), sum(y for _, y in right) / len(right), only_a, only_b,
        (only_b - only_a) / len(right), *interval(only_a, only_b, len(right)), mcnemar(only_a, only_b),
    )  # fmt: skip


def mcnemar(only_a, only_b):
    """Two-sided p of the exact (binomial) McNemar test: each disagreement is a fair coin if the models are equally
    good.

    McNemar 1947, https://doi.org/10.1007/BF02295996.
    """
    disagreements = only_a + only_b
    return float(binomtest(only_a, disagreements, 0.5).pvalue) if disagreements else 1.0


def interval(only_a, only_b, images):
    """(half width, low, high) of the 95% interval of a paired difference, (only_b - only_a) / images.

    Adjusted Wald of Bonett and Price 2012, https://doi.org/10.3102/1076998611411915: two pictures more, one for each
    side, keep its coverage where disagreements are few. Its middle lies closer to zero than the difference itself.
    """
    a, b = (only_a + 1) / (images + 2), (only_b + 1) / (images + 2)
    half = Z * math.sqrt((a + b - (b - a) ** 2) / (images + 2))
    return half, max(-1.0, b - a - half), min(1.0, b - a + half)


def sentence(found, names=("A", "B")):
    """The verdict for people, in percentage points."""
    a, b = names
    facts = (
        f"{a} {found.top1_a:.2%}, {b} {found.top1_b:.2%} of {found.images} pictures; "
        f"{found.only_a} right in {a} only, {found.only_b} in {b} only"
    )
    spread = (
        f"{100 * abs(found.difference):.2f} +- {100 * found.half_width:.2f} points (95%), McNemar p = {found.p:.2g}"
    )
    if found.p >= SIGNIFICANT:
        return f"{facts}\nwithin noise: they differ by {spread}"
    better, worse = (b, a) if found.difference > 0 else (a, b)
    return f"{facts}\n{better} is better than {worse} by {spread}"
