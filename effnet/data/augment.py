"""Random changes of training pictures, all drawn from generators keyed by what they are for.

Random resized crop as in torchvision, random erasing of arXiv 1708.04896, mixup of 1710.09412, cutmix of 1905.04899;
AutoAugment and RandAugment have a file of their own, policies.py.
"""

import math
from itertools import permutations

import numpy as np

from effnet.data import operations

JITTERS = operations.brightness, operations.contrast, operations.color


def crop_box(width, height, scale, ratio, rng):
    """Box (left, top, right, bottom) of a random crop: area uniform in `scale`, aspect log-uniform in `ratio`
    (torchvision's).

    After ten draws that do not fit: the largest central crop within `ratio`.
    """
    for _ in range(10):
        area = width * height * (scale[0] + (scale[1] - scale[0]) * rng.random())
        aspect = ratio[0] * (ratio[1] / ratio[0]) ** rng.random()
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.random() * (width - w + 1)), int(rng.random() * (height - h + 1))
            return left, top, left + w, top + h
    w, h = width, height
    if width / height < ratio[0]:
        h = min(height, max(1, round(width / ratio[0])))
    elif width / height > ratio[1]:
        w = min(width, max(1, round(height * ratio[1])))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def color_jitter(pixels, strengths, rng, order="fixed"):
    """Brightness, contrast and saturation, in place, in this order or ("random") in any, each times a factor uniform in
    1 +- its strength, not below 0.
    """
    jitters = tuple(zip(JITTERS, strengths, strict=True))
    if order == "random":
        orders = tuple(permutations(jitters))
        jitters = orders[int(rng.random() * len(orders))]
    for jitter, strength in jitters:
        if strength:
            jitter(pixels, max(0.0, 1 + strength * (2 * rng.random() - 1)))


def erase(pixels, rng):
    """Fill a random rectangle with noise, in place: 2% to 40% of the area, aspect 0.3 to 1/0.3 (the paper's)."""
    height, width = pixels.shape[:2]
    for _ in range(10):
        area, aspect = height * width * (0.02 + 0.38 * rng.random()), 0.3 ** (2 * rng.random() - 1)
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < h < height and 0 < w < width:
            top, left = int(rng.random() * (height - h + 1)), int(rng.random() * (width - w + 1))
            noise = np.frombuffer(rng.bytes(h * w * 3), np.uint8)
            pixels[top : top + h, left : left + w] = noise.reshape(h, w, 3)
            return


def mix(pair, rng, mixup, cutmix):
    """Mix the two pictures of `pair`, uint8 (2, H, W, 3), into each other in place; give the share of each that stayed
    its own.

    mixup, cutmix: alpha of their Beta(alpha, alpha), 0 is off; with both on, one of the two by chance.
    """
    if mixup and not (cutmix and rng.random() < 0.5):
        weight = round(256 * rng.beta(mixup, mixup))  # in 256ths: exact in 16 bits, many times faster than floats
        first, second = pair.astype(np.uint16)
        first *= weight
        second *= 256 - weight
        first += second
        first += 128
        first >>= 8
        mixed = first.astype(np.uint8)
        # the two mixed pictures have the sum of the two; bytes wrap around, and so come out right
        pair[1] += pair[0] - mixed
        pair[0] = mixed
        return weight / 256
    lam = rng.beta(cutmix, cutmix)
    height, width = pair.shape[1:3]
    y, x = int(rng.random() * height), int(rng.random() * width)  # the middle of the box that is exchanged
    h, w = height * math.sqrt(1 - lam) / 2, width * math.sqrt(1 - lam) / 2
    top, bottom = max(0, round(y - h)), min(height, round(y + h))
    left, right = max(0, round(x - w)), min(width, round(x + w))
    pair[:, top:bottom, left:right] = pair[::-1, top:bottom, left:right].copy()
    return 1 - (bottom - top) * (right - left) / (height * width)
