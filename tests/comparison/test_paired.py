"""The comparison of two models against figures worked out by hand."""

import math
from fractions import Fraction

import pytest

from effnet.comparison import paired
from effnet.errors import InputError

HEAD = ["name,actual,predicted,confidence,loss"]


def table(answers):
    """per_image.csv of pictures 0, 1, ... whose class is 'x', from a string of answers."""
    return HEAD + [f"x/{i}.jpg,x,{answer},0.5,0.5" for i, answer in enumerate(answers)]


def compared(a, b):
    return paired.compare(paired.read(table(a), "a"), paired.read(table(b), "b"))


def test_by_hand():
    # 10 pictures: both right 5, only A right 1, only B right 3, both wrong 1
    found = compared("xxxxxxyyyy", "xxxxxyxxxy")
    assert found.images == 10 and (found.only_a, found.only_b) == (1, 3)
    assert found.top1_a == 0.6 and found.top1_b == 0.8 and found.difference == pytest.approx(0.2)
    assert found.p == 0.625  # 2 * (C(4,0) + C(4,1)) / 2^4 = 2 * 5 / 16
    # Bonett and Price: a = 2/12, b = 4/12; variance (6/12 - (2/12)^2) / 12 = (1/2 - 1/36) / 12 = 17/432
    assert found.half_width == pytest.approx(1.959963984540054 * math.sqrt(17 / 432))
    assert found.low == pytest.approx(1 / 6 - found.half_width) and found.high == pytest.approx(
        1 / 6 + found.half_width
    )
    assert "within noise" in paired.sentence(found)


def test_verdicts_name_the_better_one():
    names = ("main", "wider")
    better = paired.sentence(compared("y" * 8 + "x" * 12, "x" * 20), names)
    assert "wider is better than main by 40.00 +- " in better and "p = 0.0078" in better  # 2 / 2^8
    assert "main is better than wider by 40.00" in paired.sentence(compared("x" * 20, "y" * 8 + "x" * 12), names)
    assert "within noise: they differ by 0.00" in paired.sentence(compared("xxy", "xxy"), names)


@pytest.mark.parametrize("only_a, only_b", [(0, 0), (0, 5), (6, 0), (3, 9), (40, 61), (700, 800), (2400, 2600)])
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b):
    """Of n fair coins, twice the chance of as few heads as the rarer side has."""
    n = only_a + only_b
    expected = min(1, Fraction(2 * sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1)), 2**n))
    assert paired.mcnemar(only_a, only_b) == pytest.approx(float(expected), rel=1e-9)


def test_test_and_interval_never_contradict_each_other():
    for images in (10, 50, 359):
        for only_a in range(min(images, 25)):
            for only_b in range(min(images - only_a, 25)):
                _, low, high = paired.interval(only_a, only_b, images)
                assert paired.mcnemar(only_a, only_b) >= paired.SIGNIFICANT or low > 0 or high < 0, (
                    images,
                    only_a,
                    only_b,
                )


def test_other_pictures_other_labels_other_files_are_refused():
    with pytest.raises(InputError, match="different pictures .0 of 2 and 1 of 3"):
        compared("xx", "xxx")
    relabelled = [*HEAD, "x/0.jpg,z,x,0.5,0.5"]
    with pytest.raises(InputError, match="1 pictures, x/0.jpg first, have other labels"):
        paired.compare(paired.read(table("x"), "a"), paired.read(relabelled, "b"))
    with pytest.raises(InputError, match="b.csv: damaged, column 'name' is missing"):
        paired.read(["top1", "0.5"], "b.csv")
