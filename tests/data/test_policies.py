"""effnet/data/policies.py and operations.py against Pillow, NumPy written out by hand, MindSpore's own operations and
the sources' numbers; tests/peers/test_augment.py against timm's and torchvision's.
"""

import hashlib
import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from effnet import recipe
from effnet.data import policies, streams
from tests.native.test_native import rgb
from tests.pictures import jpeg

IMAGE = rgb(jpeg(11, (80, 64)))
PIXELS = np.asarray(IMAGE).astype(int)


def operate(name, m, policy="imagenet"):
    policy = policies.NAMED[policy] if isinstance(policy, str) else policy
    return policies.perform(policy, name, np.array(IMAGE), m, streams.generator(0, 0, 0)).astype(int)


def shifted(pixels, dx, dy):
    """Output (y, x) is input (y + dy(y, x), x + dx(y, x)), nearest, grey from outside."""
    h, w = pixels.shape[:2]
    y, x = np.mgrid[:h, :w]
    sy, sx = np.floor(y + 0.5 + dy(y + 0.5, x + 0.5)).astype(int), np.floor(x + 0.5 + dx(y + 0.5, x + 0.5)).astype(int)
    inside = (0 <= sy) & (sy < h) & (0 <= sx) & (sx < w)
    return np.where(inside[..., None], pixels[sy.clip(0, h - 1), sx.clip(0, w - 1)], 128)


@pytest.mark.parametrize("m", [-1, -0.5, 0.45, 1])  # no source lies just between two pixels
def test_geometry_is_in_the_papers_units(m):
    """Shear up to 0.3 (a slope, not degrees), translation up to 150 of 331 pixels, rotation up to 30 degrees."""
    assert np.array_equal(operate("ShearX", m), shifted(PIXELS, lambda y, x: 0.3 * m * y, lambda y, x: 0 * y))
    assert np.array_equal(operate("ShearY", m), shifted(PIXELS, lambda y, x: 0 * x, lambda y, x: 0.3 * m * x))
    assert np.array_equal(
        operate("TranslateX", m), shifted(PIXELS, lambda y, x: 0 * y + 150 / 331 * m * 80, lambda y, x: 0 * y)
    )
    assert np.array_equal(
        operate("TranslateY", m), shifted(PIXELS, lambda y, x: 0 * y, lambda y, x: 0 * y + 150 / 331 * m * 64)
    )
    a = math.radians(30 * m)
    dx = lambda y, x: (math.cos(a) - 1) * (x - 40) - math.sin(a) * (y - 32)  # noqa: E731
    dy = lambda y, x: math.sin(a) * (x - 40) + (math.cos(a) - 1) * (y - 32)  # noqa: E731
    assert (
        operate("Rotate", m) != shifted(PIXELS, dx, dy)
    ).mean() < 0.01  # Pillow steps in fixed point: a few pixels on an edge


@pytest.mark.parametrize("m", [-0.9, 0.0, 0.3, 0.5, 1.0])
def test_colours_are_in_the_papers_units(m):
    """Solarize inverts above 256 down to 0, posterize keeps 8 down to 4 bits, enhancements go from 0.1 to 1.9."""
    threshold, bits, factor = 256 - 256 * abs(m), 8 - round(4 * abs(m)), 0.1 + 1.8 * abs(m)
    assert np.array_equal(operate("Solarize", m), np.where(PIXELS >= threshold, 255 - PIXELS, PIXELS))
    assert np.array_equal(operate("Posterize", m), PIXELS >> (8 - bits) << (8 - bits))
    assert np.array_equal(operate("Invert", m), 255 - PIXELS)
    for name in ("Contrast", "Color", "Brightness", "Sharpness"):
        assert np.array_equal(operate(name, m), np.asarray(getattr(ImageEnhance, name)(IMAGE).enhance(factor))), name
    assert np.abs(operate("Brightness", m) - (PIXELS * factor).clip(0, 255)).max() <= 1
    grey = np.asarray(IMAGE.convert("L")).astype(int)
    assert np.abs(operate("Color", m) - (grey[..., None] + factor * (PIXELS - grey[..., None])).clip(0, 255)).max() <= 1
    assert (
        np.abs(
            operate("Contrast", m) - (int(grey.mean() + 0.5) + factor * (PIXELS - int(grey.mean() + 0.5))).clip(0, 255)
        ).max()
        <= 1
    )


def test_histogram_operations():
    assert np.array_equal(operate("AutoContrast", 1), np.asarray(ImageOps.autocontrast(IMAGE)))
    low, high = PIXELS.min((0, 1)), PIXELS.max((0, 1))
    assert np.abs(operate("AutoContrast", 1) - (PIXELS - low) * 255 / (high - low)).max() <= 1
    equal = operate("Equalize", 1)
    for c in range(3):  # monotonous, and each level about as much of the picture as of the scale
        pairs = np.unique(np.stack([PIXELS[..., c].ravel(), equal[..., c].ravel()]), axis=1)
        assert (np.diff(pairs[1]) >= 0).all() and len(np.unique(pairs[0])) == pairs.shape[1]
        share = np.searchsorted(np.sort(equal[..., c].ravel()), np.arange(256), side="right") / equal[..., c].size
        assert np.abs(share - np.arange(1, 257) / 256).max() < 0.1


def test_policy_is_the_papers():
    """Table 9 of arXiv 1805.09501: operation, probability, magnitude (the magnitude of Equalize, AutoContrast and
    Invert means nothing).
    """
    table = """Posterize .4 8 Rotate .6 9|Solarize .6 5 AutoContrast .6|Equalize .8 Equalize .6
        Posterize .6 7 Posterize .6 6|Equalize .4 Solarize .2 4|Equalize .4 Rotate .8 8
        Solarize .6 3 Equalize .6|Posterize .8 5 Equalize 1|Rotate .2 3 Solarize .6 8
        Equalize .6 Posterize .4 6|Rotate .8 8 Color .4 0|Rotate .4 9 Equalize .6|Equalize 0 Equalize .8
        Invert .6 Equalize 1|Color .6 4 Contrast 1 8|Rotate .8 8 Color 1 2|Color .8 8 Solarize .8 7
        Sharpness .4 7 Invert .6|ShearX .6 5 Equalize 1|Color .4 0 Equalize .6|Equalize .4 Solarize .2 4
        Solarize .6 5 AutoContrast .6|Invert .6 Equalize 1|Color .6 4 Contrast 1 8|Equalize .8 Equalize .6"""
    rows = [row.split() for line in table.splitlines() for row in line.split("|")]
    assert len(rows) == len(policies.IMAGENET) == 25
    for row, steps in zip(rows, policies.IMAGENET, strict=True):
        flat = []
        for name, chance, magnitude in steps:
            flat += [name, chance] + ([] if name in ("Equalize", "AutoContrast", "Invert") else [magnitude])
        assert [x if x.isalpha() else float(x) for x in row] == flat


def policy_of(name, **changes):
    section = recipe.load("recipes/timm.yaml").augment
    return policies.of(section.model_copy(update={"auto_augment": name} | changes))


def test_sub_policies_and_chances(monkeypatch):
    seen = []
    monkeypatch.setattr(policies, "perform", lambda policy, name, pixels, m, rng: seen.append((name, round(m * 10))))
    for i in range(8000):
        policies.apply(policies.NAMED["imagenet"], IMAGE, streams.generator(1, streams.SAMPLE, 0, i))
    count = {}
    for name, m in seen:
        count[name, m] = count.get((name, m), 0) + 1
    draws = 8000 / 25
    assert (
        abs(count["ShearX", 5] + count["ShearX", -5] - 0.6 * draws) < 40
        and abs(count["ShearX", 5] - count["ShearX", -5]) < 60
    )
    assert abs(sum(n for (name, _), n in count.items() if name == "Sharpness") - 0.4 * draws) < 40
    assert abs(len(seen) - draws * sum(first[1] + second[1] for first, second in policies.IMAGENET)) < 300


@pytest.mark.parametrize("name, chance, count", [("rand-m7", 0.5, 2), ("rand-inc1-m7-p1-n3", 1, 3)])
def test_rand_augment_s_chances(monkeypatch, name, chance, count):
    """timm's: `count` of 15 operations, the same one again too, each by its chance."""
    seen, policy = [], policy_of(name)
    monkeypatch.setattr(policies, "perform", lambda policy, name, pixels, m, rng: seen.append((name, m)))
    for i in range(1500):
        policies.apply(policy, IMAGE, streams.generator(1, streams.SAMPLE, 0, i))
    names = [name for name, _ in seen]
    assert abs(len(seen) - 1500 * count * chance) < 100 and {abs(m) for _, m in seen} == {0.7}
    expected = 1500 * count * chance / 15
    assert len(set(names)) == 15 and all(0.6 * expected < names.count(n) < 1.4 * expected for n in set(names))


def test_deviation_of_a_level(monkeypatch):
    """mstd: levels are normal around M, and what is beyond 0 or 10 is held there (timm's upper bound)."""
    seen, policy = [], policy_of("rand-m9-mstd2-p1-n1")
    monkeypatch.setattr(policies, "perform", lambda policy, name, pixels, m, rng: seen.append(10 * abs(m)))
    for i in range(4000):
        policies.apply(policy, IMAGE, streams.generator(2, streams.SAMPLE, 0, i))
    share = [np.mean(np.array(seen) <= bound) for bound in (7, 9)]
    assert share[0] == pytest.approx(0.1587, abs=0.02) and share[1] == pytest.approx(0.5, abs=0.03)  # normal's
    uniform, policy = len(seen), policy_of("rand-m5-mstd101-p1-n1")
    for i in range(2000):
        policies.apply(policy, IMAGE, streams.generator(2, streams.SAMPLE, 1, i))
    assert np.allclose(np.quantile(seen[uniform:], [0, 0.25, 0.5, 0.75, 1]), [0, 1.25, 2.5, 3.75, 5], atol=0.2)
    seen = seen[:uniform]
    assert max(seen) == 10 and np.mean(np.array(seen) == 10) == pytest.approx(0.3085, abs=0.03)


def test_fill_and_resampling_of_rand_augment():
    """timm's hparams: the pictures' mean, and what crops are resized with; the paper's code: grey and the nearest."""
    policy = policy_of("rand-m9", interpolation="bicubic", mean=(123.675, 116.28, 103.53))
    assert policy.fill == (124, 116, 104)  # timm: round(255 * 0.485), ...
    rotated = IMAGE.rotate(27, Image.Resampling.BICUBIC, fillcolor=(124, 116, 104))
    assert np.array_equal(operate("Rotate", 0.9, policy), np.asarray(rotated))
    policy, kinds = policy_of("rand-m9", interpolation="random"), set()
    for i in range(20):
        rng = streams.generator(3, streams.SAMPLE, 0, i)
        kinds.add(policies.perform(policy, "Rotate", np.array(IMAGE), 0.9, rng).tobytes())
    both = [
        IMAGE.rotate(27, how, fillcolor=policy.fill) for how in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    ]
    assert kinds == {image.tobytes() for image in both}


def test_policy_v0_in_its_units():
    """tensorflow/tpu autoaugment.py's level_to_arg: pixels of 250, and levels of which the greater does less."""
    assert np.array_equal(
        operate("TranslateYPixels", 0.1, "policy_v0"), shifted(PIXELS, lambda y, x: 0 * y, lambda y, x: 0 * y + 25)
    )
    for level, threshold in ((8, 204), (2, 51), (10, 256)):
        inverted = np.where(PIXELS >= threshold, 255 - PIXELS, PIXELS)
        assert np.array_equal(operate("Solarize", level / 10, "policy_v0"), inverted)
    for level, bits in ((6, 2), (2, 0)):
        kept = PIXELS >> (8 - bits) << (8 - bits)
        assert np.array_equal(operate("Posterize", -level / 10, "policy_v0"), kept)
    added = np.where(PIXELS < 128, np.minimum(PIXELS + 77, 255), PIXELS)
    assert np.array_equal(operate("SolarizeAdd", 0.7, "policy_v0"), added)


def mindspore_s(name, level):
    """The operation as the original makes it with MindSpore's data pipeline, for a positive sign."""
    from mindspore.dataset import vision

    from effnet import network  # noqa: F401  sets what MindSpore reads when it is imported

    return {
        "Posterize": lambda: vision.RandomPosterize(bits=(4 - int(level * 4 / 10),) * 2),
        "Rotate": lambda: vision.RandomRotation(degrees=(int(level * 30 / 10),) * 2),
        "ShearX": lambda: vision.RandomAffine(degrees=0, shear=(0.03 * level,) * 2),
        "Color": lambda: vision.RandomColor(degrees=(0.18 * level + 0.1,) * 2),
        "Contrast": lambda: vision.RandomColorAdjust(contrast=(0.18 * level + 0.1,) * 2),
        "Sharpness": lambda: vision.RandomSharpness(degrees=(0.18 * level + 0.1,) * 2),
        "AutoContrast": vision.AutoContrast,
        "EqualizeFinely": vision.Equalize,
        "Invert": vision.Invert,
    }[name]()


STEPS = sorted({(name, level) for row in policies.NAMED["original"].rows for name, _, level in row})


@pytest.mark.parametrize("name, level", [step for step in STEPS if step[0] != "SolarizeWithin"])
def test_original_does_what_mindspore_did(name, level):
    """Each operation of the policy to a level (colour to two; rotation but for a few pixels on an edge)."""
    theirs = mindspore_s(name, level)(PIXELS.astype(np.uint8)).astype(int)
    difference = np.abs(operate(name, level / 10, "original") - theirs)
    assert (difference > (2 if name == "Color" else 1)).mean() < (0.01 if name == "Rotate" else 1e-9)
    if name in ("Posterize", "ShearX", "Invert", "AutoContrast", "EqualizeFinely"):
        assert not difference.any()
    if name == "Rotate":  # what moves in is black in both
        assert (theirs[0, 0] == 0).all() and (operate(name, level / 10, "original")[0, 0] == 0).all()


def test_the_original_s_solarize_inverts_a_random_range():
    """MindSpore's RandomSolarize(threshold=(0, 52)) at level 8: from one random number of 0 to 52 to another."""
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    ranges = []
    for i in range(3000):
        rng = streams.generator(5, streams.SAMPLE, 0, i)
        made = policies.perform(policies.NAMED["original"], "SolarizeWithin", ramp.copy(), 0.8, rng)[0, :, 0]
        inverted = np.nonzero(made != np.arange(256))[0]
        low, high = inverted.min(), inverted.max()
        assert (made[low : high + 1] == 255 - np.arange(low, high + 1)).all()
        ranges.append((low, high))
    lows, highs = np.array(ranges).T
    assert (lows == 0).mean() == pytest.approx(2 * 52 / 53**2 + 1 / 53**2, abs=0.01) and lows.max() > 45
    assert (highs == 255).mean() == pytest.approx(1 / 53, abs=0.01)  # both the same: all from there up
    assert np.median(highs[highs < 255]) == pytest.approx(53 / math.sqrt(2), abs=2)  # the larger of two


def test_the_paper_s_policy_gives_the_bytes_it_gave_before_the_others_came():
    found = hashlib.sha256()
    for i in range(200):
        rng = streams.generator(1, streams.SAMPLE, 0, i)
        found.update(policies.apply(policies.NAMED["imagenet"], np.array(IMAGE), rng).tobytes())
    assert found.hexdigest() == "4e2e027d1e286aa911e01b083b0e139e292b08ae7db63aa1b3882c147f882a52"
