"""effnet/data/augment.py against Pillow, NumPy written out by hand, and the papers' numbers."""

import math

import numpy as np
import pytest
from PIL import ImageEnhance, ImageOps

from effnet.data import augment, streams
from effnet.errors import InputError
from tests.native.test_native import rgb
from tests.pictures import jpeg

IMAGE = rgb(jpeg(11, (80, 64)))
PIXELS = np.asarray(IMAGE).astype(int)


def operate(name, m):
    return np.asarray(augment.OPERATIONS[name](IMAGE, m)).astype(int)


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
    assert len(rows) == len(augment.IMAGENET) == 25
    for row, step in zip(rows, augment.IMAGENET, strict=True):
        flat = []
        for name, chance, magnitude in (step[:3], step[3:]):
            flat += [name, chance] + ([] if name in ("Equalize", "AutoContrast", "Invert") else [magnitude])
        assert [x if x.isalpha() else float(x) for x in row] == flat


def test_sub_policies_and_chances(monkeypatch):
    seen = []
    for name in augment.OPERATIONS:
        monkeypatch.setitem(
            augment.OPERATIONS, name, lambda image, m, name=name: seen.append((name, round(m * 10))) or image
        )
    policy = augment.policy("imagenet")
    for i in range(8000):
        augment.apply(policy, IMAGE, streams.generator(1, streams.SAMPLE, 0, i))
    count = {}
    for name, m in seen:
        count[name, m] = count.get((name, m), 0) + 1
    draws = 8000 / 25
    assert (
        abs(count["ShearX", 5] + count["ShearX", -5] - 0.6 * draws) < 40
        and abs(count["ShearX", 5] - count["ShearX", -5]) < 60
    )
    assert abs(sum(n for (name, _), n in count.items() if name == "Sharpness") - 0.4 * draws) < 40
    assert abs(len(seen) - draws * sum(row[1] + row[4] for row in augment.IMAGENET)) < 300
    seen.clear()
    for i in range(2800):
        augment.apply(augment.policy("rand-m7-n2"), IMAGE, streams.generator(1, streams.SAMPLE, 0, i))
    names = [name for name, _ in seen]
    assert len(seen) == 5600 and {abs(m) for _, m in seen} == {7} and len(set(names)) == 14
    assert all(300 < names.count(name) < 500 for name in set(names))


@pytest.mark.parametrize("name", ["randaugment", "rand-m9", "rand-m11-n2", "rand-m-1-n2", "ImageNet"])
def test_unknown_policy(name):
    with pytest.raises(InputError, match=f"augment.auto_augment: '{name}' is not"):
        augment.policy(name)


def test_crop_box():
    boxes = [
        augment.crop_box(500, 400, (0.08, 0.4), (3 / 4, 4 / 3), streams.generator(0, streams.SAMPLE, 0, i))
        for i in range(3000)
    ]
    left, top, right, bottom = np.array(boxes).T
    assert (0 <= left).all() and (left < right).all() and (right <= 500).all()
    assert (0 <= top).all() and (top < bottom).all() and (bottom <= 400).all() and {0, 1} <= set(top)
    area, ratio = (right - left) * (bottom - top) / 200_000, np.log((right - left) / (bottom - top)) / np.log(4 / 3)
    for values, low, high in ((area, 0.08, 0.4), (ratio, -1, 1)):  # uniform: quartiles where they belong
        assert np.abs(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]) - np.linspace(low, high, 5)).max() < 0.035 * (
            high - low
        )
    whole = [
        augment.crop_box(500, 400, (0.08, 1), (3 / 4, 4 / 3), streams.generator(0, streams.SAMPLE, 1, i))
        for i in range(1000)
    ]
    assert max(b[2] - b[0] for b in whole) > 490 and max(b[3] - b[1] for b in whole) == 400
    rng = streams.generator(0, streams.SAMPLE, 0)
    assert augment.crop_box(100, 100, (0.25, 0.25), (1, 1), rng)[2:] != (100, 100)
    assert augment.crop_box(1000, 10, (0.9, 1), (3 / 4, 4 / 3), rng) == (
        493,
        0,
        506,
        10,
    )  # nothing fits: the middle, as wide as allowed
    assert augment.crop_box(10, 1000, (0.9, 1), (3 / 4, 4 / 3), rng) == (0, 493, 10, 506)
    assert augment.crop_box(1, 1, (0.08, 1), (3 / 4, 4 / 3), rng) == (0, 0, 1, 1)


def test_color_jitter():
    rng, again = (streams.generator(4, streams.SAMPLE, 0) for _ in range(2))
    made = augment.color_jitter(IMAGE, (0.4, 0.0, 0.2), rng)
    by_hand = ImageEnhance.Brightness(IMAGE).enhance(0.6 + 0.8 * again.random())
    by_hand = ImageEnhance.Color(by_hand).enhance(0.8 + 0.4 * again.random())
    assert made == by_hand and made != IMAGE
    assert augment.color_jitter(IMAGE, (0, 0, 0), rng) is IMAGE


def test_random_erasing():
    shares = []
    for i in range(300):
        pixels = np.full((64, 80, 3), 300 % 256, np.uint8)
        augment.erase(pixels, streams.generator(1, streams.SAMPLE, 0, i))
        ys, xs = np.nonzero((pixels != 300 % 256).any(2))
        box = pixels[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        assert (box != 300 % 256).any(2).mean() > 0.95 and 90 < box.mean() < 165  # a full rectangle of noise
        shares.append(box.shape[0] * box.shape[1] / (64 * 80))
    assert 0.015 < min(shares) < 0.05 and 0.33 < max(shares) < 0.42


def test_mixup_and_cutmix():
    pair = np.stack([PIXELS, 255 - PIXELS]).astype(np.uint8)
    lams = []
    for i in range(200):
        mixed = pair.copy()
        lam = augment.mix(mixed, streams.generator(1, streams.PAIR, 0, i), mixup=0.5, cutmix=0)
        assert np.abs(mixed[0] - (lam * pair[0] + (1 - lam) * pair[1])).max() < 0.501  # rounded to the nearest
        assert np.abs(mixed[1] - (lam * pair[1] + (1 - lam) * pair[0])).max() < 0.501
        lams.append(lam)
    assert (
        abs(np.mean(lams) - 0.5) < 0.08 and abs(np.var(lams) - 0.125) < 0.03
    )  # Beta(a, a): variance 1 / (4 (2 a + 1))
    for i in range(200):
        mixed = pair.copy()
        lam = augment.mix(mixed, streams.generator(2, streams.PAIR, 0, i), mixup=0, cutmix=1.0)
        own = (mixed == pair).all((0, 3))
        assert ((mixed == pair[::-1]).all((0, 3)) | own).all() and own.mean() == pytest.approx(lam)
