"""AutoAugment and RandAugment: which operations happen to a training picture, by what chance and how much.

A level is from 0 to 10. What it means to an operation differs from source to source, so each has a table of its own, of
m = level / 10 with a random sign: to what the function in operations.py takes.

imagenet   AutoAugment as the paper says it: Cubuk et al., arXiv 1805.09501, tables 6 (ranges) and 9 (the policy)
policy_v0  AutoAugment as EfficientNet's authors ran it: tensorflow/tpu models/official/efficientnet/autoaugment.py
original   the paper's policy as the MindSpore model zoo ran it: mindspore-ai/models
           official/cv/Efficientnet/efficientnet-b2/src/dataset.py; its shear is in degrees and moves nothing
rand-...   RandAugment (arXiv 1909.13719) as timm has it: timm/data/auto_augment.py, rand_augment_transform
"""

import re
from typing import NamedTuple

from PIL import Image

from effnet.data import operations

NEAREST, BILINEAR, BICUBIC = Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
RESAMPLING = {"linear": (BILINEAR,), "bilinear": (BILINEAR,), "bicubic": (BICUBIC,), "random": (BILINEAR, BICUBIC)}
GREY, BLACK = (128, 128, 128), (0, 0, 0)


class Policy(NamedTuple):
    """What `apply` does to a picture: `count` times, one of `rows` by chance, and of that all steps (operation, chance,
    level).
    """

    rows: tuple
    levels: dict  # operation -> f(m, rng) -> what its function takes after the picture
    count: int = 1
    deviation: float = 0.0  # of a level: normal, kept within 0 and 10; above 100: uniform from 0 to the level
    fill: tuple = GREY  # what geometric operations move in
    resampling: tuple = (NEAREST,)  # theirs, one by chance


GEOMETRIC = {
    "ShearX": operations.shear_x,
    "ShearY": operations.shear_y,
    "TranslateX": operations.translate_x,
    "TranslateY": operations.translate_y,
    "TranslateYPixels": operations.translate_y_pixels,
    "Rotate": operations.rotate,
}
PIXELWISE = {
    "AutoContrast": operations.auto_contrast,
    "Equalize": operations.equalize,
    "EqualizeFinely": operations.equalize_finely,
    "Invert": operations.invert,
    "Solarize": operations.solarize,
    "SolarizeWithin": operations.solarize_within,
    "SolarizeAdd": operations.solarize_add,
    "Posterize": operations.posterize,
    "Color": operations.color,
    "Contrast": operations.contrast,
    "Brightness": operations.brightness,
    "Sharpness": operations.sharpness,
}
PLAIN = dict.fromkeys(("AutoContrast", "Equalize", "Invert"), lambda m, rng: ())
ENHANCE = ("Color", "Contrast", "Brightness", "Sharpness")
FACTORS = dict.fromkeys(ENHANCE, lambda m, rng: (0.1 + 1.8 * abs(m),))
SHEARS = dict.fromkeys(("ShearX", "ShearY"), lambda m, rng: (0.3 * m,))


def _within(most, rng):
    """Two whole numbers of 0 to `most`, the smaller one first."""
    return sorted(int(rng.random() * (most + 1)) for _ in range(2))


PAPER = (
    PLAIN
    | FACTORS
    | SHEARS
    # the paper's 150 pixels were of pictures of 331
    | dict.fromkeys(("TranslateX", "TranslateY"), lambda m, rng: (150 / 331 * m,))
    | {
        "Rotate": lambda m, rng: (30 * m,),
        "Solarize": lambda m, rng: (256 * (1 - abs(m)),),
        "Posterize": lambda m, rng: (8 - round(4 * abs(m)),),
    }
)
ORIGINAL = (
    PLAIN
    | FACTORS
    | {
        "EqualizeFinely": PLAIN["Equalize"],
        "ShearX": lambda m, rng: (0.0,),
        "Rotate": lambda m, rng: (round(30 * m),),
        "SolarizeWithin": lambda m, rng: _within(256 - int(256 * abs(m)), rng),
        "Posterize": lambda m, rng: (4 - int(4 * abs(m)),),
    }
)
TPU = (
    PLAIN
    | FACTORS
    | SHEARS
    | {
        "TranslateYPixels": lambda m, rng: (250 * m,),
        "Rotate": lambda m, rng: (30 * m,),
        "Solarize": lambda m, rng: (int(256 * abs(m)),),
        "SolarizeAdd": lambda m, rng: (int(110 * abs(m)),),
        "Posterize": lambda m, rng: (int(4 * abs(m)),),
    }
)
TIMM = (  # inc0: of some operations, a greater level does less
    PLAIN
    | {
        "Rotate": lambda m, rng: (30 * m,),
        "Posterize": lambda m, rng: (int(4 * abs(m)),),
        "Solarize": lambda m, rng: (int(256 * abs(m)),),
        "SolarizeAdd": lambda m, rng: (int(110 * abs(m)),),
    }
    | FACTORS
    | SHEARS
    | dict.fromkeys(("TranslateX", "TranslateY"), lambda m, rng: (0.45 * m,))
)
TIMM_INCREASING = (
    TIMM
    | dict.fromkeys(ENHANCE, lambda m, rng: (max(0.1, 1 + 0.9 * m),))
    | {
        "Posterize": lambda m, rng: (4 - int(4 * abs(m)),),
        "Solarize": lambda m, rng: (256 - int(256 * abs(m)),),
    }
)

IMAGENET = (  # operation, chance, level; those of AutoContrast, Equalize and Invert mean nothing
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 4), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 7)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 2)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 8), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 2)),
    (("Equalize", 0.0, 7), ("Equalize", 0.8, 8)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 8)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 9)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 3)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
)
POLICY_V0 = (
    (("Equalize", 0.8, 1), ("ShearY", 0.8, 4)),
    (("Color", 0.4, 9), ("Equalize", 0.6, 3)),
    (("Color", 0.4, 1), ("Rotate", 0.6, 8)),
    (("Solarize", 0.8, 3), ("Equalize", 0.4, 7)),
    (("Solarize", 0.4, 2), ("Solarize", 0.6, 2)),
    (("Color", 0.2, 0), ("Equalize", 0.8, 8)),
    (("Equalize", 0.4, 8), ("SolarizeAdd", 0.8, 3)),
    (("ShearX", 0.2, 9), ("Rotate", 0.6, 8)),
    (("Color", 0.6, 1), ("Equalize", 1.0, 2)),
    (("Invert", 0.4, 9), ("Rotate", 0.6, 0)),
    (("Equalize", 1.0, 9), ("ShearY", 0.6, 3)),
    (("Color", 0.4, 7), ("Equalize", 0.6, 0)),
    (("Posterize", 0.4, 6), ("AutoContrast", 0.4, 7)),
    (("Solarize", 0.6, 8), ("Color", 0.6, 9)),
    (("Solarize", 0.2, 4), ("Rotate", 0.8, 9)),
    (("Rotate", 1.0, 7), ("TranslateYPixels", 0.8, 9)),
    (("ShearX", 0.0, 0), ("Solarize", 0.8, 4)),
    (("ShearY", 0.8, 0), ("Color", 0.6, 4)),
    (("Color", 1.0, 0), ("Rotate", 0.6, 2)),
    (("Equalize", 0.8, 4), ("Equalize", 0.0, 8)),
    (("Equalize", 1.0, 4), ("AutoContrast", 0.6, 2)),
    (("ShearY", 0.4, 7), ("SolarizeAdd", 0.6, 7)),
    (("Posterize", 0.8, 2), ("Solarize", 0.6, 10)),  # no bits are left: black
    (("Solarize", 0.6, 8), ("Equalize", 0.6, 1)),
    (("Color", 0.8, 6), ("Rotate", 0.4, 5)),
)
MINDSPORE = {"Solarize": "SolarizeWithin", "Equalize": "EqualizeFinely"}  # what its operations of these names do
NAMED = {
    "imagenet": Policy(IMAGENET, PAPER),
    "policy_v0": Policy(POLICY_V0, TPU),
    "original": Policy(
        tuple(tuple((MINDSPORE.get(name, name), chance, level) for name, chance, level in row) for row in IMAGENET),
        ORIGINAL,
        fill=BLACK,
    ),
}


def of(augment):
    """The `Policy` of a recipe's section `augment`, whose auto_augment recipe.py has checked; None if it has none.

    RandAugment's: fill and resampling as timm takes them, from the pictures' mean and from how crops are resized.
    """
    name = augment.auto_augment
    if not name.startswith("rand-"):
        return NAMED.get(name)
    said = dict(re.findall("-([a-z]+)([0-9.]+)", name))
    levels = TIMM_INCREASING if said.get("inc") == "1" else TIMM
    return Policy(
        rows=tuple(((operation, float(said.get("p", 0.5)), int(said["m"])),) for operation in levels),
        levels=levels,
        count=int(said.get("n", 2)),
        deviation=float(said.get("mstd", 0)),
        fill=tuple(round(value) for value in augment.mean),
        resampling=RESAMPLING[augment.interpolation],
    )


def apply(policy, pixels, rng):
    """Change pixels, contiguous uint8 (H, W, 3), in place as `policy` has it, None: not at all; returns them."""
    for _ in range(policy.count if policy else 0):
        for operation, chance, level in policy.rows[int(rng.random() * len(policy.rows))]:
            if rng.random() < chance:
                if policy.deviation > 100:
                    level *= rng.random()
                elif policy.deviation:
                    level = min(10.0, max(0.0, rng.normal(level, policy.deviation)))
                sign = 1 if rng.random() < 0.5 else -1
                perform(policy, operation, pixels, sign * level / 10, rng)
    return pixels


def perform(policy, operation, pixels, m, rng):
    """One operation of `policy` at m, a level's tenth with its sign."""
    arguments = policy.levels[operation](m, rng)
    if operation in PIXELWISE:
        return PIXELWISE[operation](pixels, *arguments)
    resample = policy.resampling
    resample = resample[int(rng.random() * len(resample)) if len(resample) > 1 else 0]
    return GEOMETRIC[operation](pixels, *arguments, policy.fill, resample)
