"""effnet/data/augment.py against Pillow, NumPy written out by hand, and the papers' numbers."""

import numpy as np
import pytest
from PIL import ImageEnhance

from effnet.data import augment, streams
from tests.native.test_native import rgb
from tests.pictures import jpeg

IMAGE = rgb(jpeg(11, (80, 64)))
PIXELS = np.asarray(IMAGE).astype(int)


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
    made = np.array(IMAGE)
    augment.color_jitter(made, (0.4, 0.0, 0.2), rng)
    by_hand = ImageEnhance.Brightness(IMAGE).enhance(0.6 + 0.8 * again.random())
    by_hand = ImageEnhance.Color(by_hand).enhance(0.8 + 0.4 * again.random())
    assert np.array_equal(made, by_hand) and not np.array_equal(made, IMAGE)
    augment.color_jitter(made, (0, 0, 0), rng)
    assert np.array_equal(made, by_hand)


def test_color_jitter_in_any_order():
    """As MindSpore's RandomColorAdjust and torchvision's ColorJitter; all six orders come of one random number."""

    class Fixed:  # the order, then the largest factors
        def __init__(self, first):
            self.numbers = [first]

        def random(self):
            return self.numbers.pop() if self.numbers else 1.0

    strengths = (0.6, 0.6, 0.0)
    made = set()
    for i in range(6):
        pixels = np.array(IMAGE)
        augment.color_jitter(pixels, strengths, Fixed(i / 6), "random")
        made.add(pixels.tobytes())
    both = [
        ImageEnhance.Contrast(ImageEnhance.Brightness(IMAGE).enhance(1.6)).enhance(1.6),
        ImageEnhance.Brightness(ImageEnhance.Contrast(IMAGE).enhance(1.6)).enhance(1.6),
    ]
    assert made == {image.tobytes() for image in both} and len(made) == 2


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
