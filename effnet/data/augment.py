"""Random changes of training pictures, all drawn from generators keyed by what they are for.

AutoAugment is the ImageNet policy of Cubuk et al., arXiv 1805.09501 (table 9), RandAugment of arXiv 1909.13719;
magnitudes in the papers' units, on their scale of 0 to 10 (table 6 of the first). Random resized crop as in
torchvision, random erasing of arXiv 1708.04896, mixup of 1710.09412, cutmix of 1905.04899.
"""

import math
import re
from functools import partial

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from effnet.errors import InputError

FILL = (128, 128, 128)  # what geometric operations move in, as in the authors' code
TRANSLATE = 150 / 331  # the paper's 150 pixels were of pictures of 331


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


def color_jitter(image, strengths, rng):
    """Brightness, contrast and saturation, in this order, each times a factor uniform in 1 +- its strength, not
    below 0.
    """
    for enhance, strength in zip(
        (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), strengths, strict=True
    ):
        if strength:
            image = enhance(image).enhance(max(0.0, 1 + strength * (2 * rng.random() - 1)))
    return image


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


# Operations take (image, signed share of the greatest magnitude, -1 to 1); only the geometric ones look at the sign.


def shear_x(image, m):
    return _affine(image, (1, 0.3 * m, 0, 0, 1, 0))


def shear_y(image, m):
    return _affine(image, (1, 0, 0, 0.3 * m, 1, 0))


def translate_x(image, m):
    return _affine(image, (1, 0, TRANSLATE * m * image.width, 0, 1, 0))


def translate_y(image, m):
    return _affine(image, (1, 0, 0, 0, 1, TRANSLATE * m * image.height))


def rotate(image, m):
    return image.rotate(30 * m, fillcolor=FILL)


def solarize(image, m):
    return ImageOps.solarize(image, 256 * (1 - abs(m)))  # inverts from the threshold up


def posterize(image, m):
    return ImageOps.posterize(image, 8 - round(4 * abs(m)))


def _enhance(kind, image, m):
    return kind(image).enhance(0.1 + 1.8 * abs(m))


def _affine(image, matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=FILL)


OPERATIONS = {
    "ShearX": shear_x,
    "ShearY": shear_y,
    "TranslateX": translate_x,
    "TranslateY": translate_y,
    "Rotate": rotate,
    "AutoContrast": lambda image, m: ImageOps.autocontrast(image),
    "Invert": lambda image, m: ImageOps.invert(image),
    "Equalize": lambda image, m: ImageOps.equalize(image),
    "Solarize": solarize,
    "Posterize": posterize,
    "Contrast": partial(_enhance, ImageEnhance.Contrast),
    "Color": partial(_enhance, ImageEnhance.Color),
    "Brightness": partial(_enhance, ImageEnhance.Brightness),
    "Sharpness": partial(_enhance, ImageEnhance.Sharpness),
    "Identity": lambda image, m: image,
}

RAND_AUGMENT = [name for name in OPERATIONS if name != "Invert"]  # the 14 of the paper

IMAGENET = [  # operation, chance, magnitude; twice
    ("Posterize", 0.4, 8, "Rotate", 0.6, 9),
    ("Solarize", 0.6, 5, "AutoContrast", 0.6, 5),
    ("Equalize", 0.8, 8, "Equalize", 0.6, 3),
    ("Posterize", 0.6, 7, "Posterize", 0.6, 6),
    ("Equalize", 0.4, 7, "Solarize", 0.2, 4),
    ("Equalize", 0.4, 4, "Rotate", 0.8, 8),
    ("Solarize", 0.6, 3, "Equalize", 0.6, 7),
    ("Posterize", 0.8, 5, "Equalize", 1.0, 2),
    ("Rotate", 0.2, 3, "Solarize", 0.6, 8),
    ("Equalize", 0.6, 8, "Posterize", 0.4, 6),
    ("Rotate", 0.8, 8, "Color", 0.4, 0),
    ("Rotate", 0.4, 9, "Equalize", 0.6, 2),
    ("Equalize", 0.0, 7, "Equalize", 0.8, 8),
    ("Invert", 0.6, 4, "Equalize", 1.0, 8),
    ("Color", 0.6, 4, "Contrast", 1.0, 8),
    ("Rotate", 0.8, 8, "Color", 1.0, 2),
    ("Color", 0.8, 8, "Solarize", 0.8, 7),
    ("Sharpness", 0.4, 7, "Invert", 0.6, 8),
    ("ShearX", 0.6, 5, "Equalize", 1.0, 9),
    ("Color", 0.4, 0, "Equalize", 0.6, 3),
    ("Equalize", 0.4, 7, "Solarize", 0.2, 4),
    ("Solarize", 0.6, 5, "AutoContrast", 0.6, 5),
    ("Invert", 0.6, 4, "Equalize", 1.0, 8),
    ("Color", 0.6, 4, "Contrast", 1.0, 8),
    ("Equalize", 0.8, 8, "Equalize", 0.6, 3),
]


def policy(name):
    """What `apply` needs for a recipe's auto_augment: '' none, 'imagenet', or 'rand-mM-nN'.

    Raises InputError for anything else.
    """
    if name in ("", "imagenet"):
        return name
    found = re.fullmatch(r"rand-m(\d+)-n(\d+)", name)
    if not found or int(found[1]) > 10:
        raise InputError(
            f"augment.auto_augment: '{name}' is not '', 'imagenet' or 'rand-mM-nN' with M from 0 to 10, "
            "e.g. 'rand-m9-n2'"
        )
    return int(found[1]), int(found[2])


def apply(policy, image, rng):
    """AutoAugment: one of the 25 sub-policies, each of its two operations with its chance.

    RandAugment: n operations of magnitude m.
    """
    if not policy:
        return image
    if policy == "imagenet":
        first, chance1, m1, second, chance2, m2 = IMAGENET[int(rng.random() * len(IMAGENET))]
        steps = [(first, chance1, m1), (second, chance2, m2)]
    else:
        magnitude, count = policy
        steps = [(RAND_AUGMENT[int(rng.random() * len(RAND_AUGMENT))], 1, magnitude) for _ in range(count)]
    for operation, chance, magnitude in steps:
        if rng.random() < chance:
            sign = 1 if rng.random() < 0.5 else -1
            image = OPERATIONS[operation](image, sign * magnitude / 10)
    return image
