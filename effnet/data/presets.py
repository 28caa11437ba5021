"""Pre-processing, the one place for it: what training and what evaluation does to a picture's bytes.

Both give uint8 RGB; subtracting the mean and dividing by the deviation happens on the device. EXIF orientation is not applied, as is the
convention with ImageNet: the pixels are taken as they are stored. Greyscale, CMYK and palette pictures are converted to RGB, and a PNG
named .JPEG is read as what it is.
"""

import io

import numpy as np
from PIL import Image

from effnet.data import augment
from effnet.errors import InputError

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def train_preset(image_size, recipe, seed):
    """Training pre-processing of `recipe` (recipe.Augment): f(data, epoch, index) -> uint8 (image_size, image_size, 3).

    A random crop resized to a square, a flip, AutoAugment or RandAugment, colour jitter, random erasing: in this order, each a pure
    function of (seed, epoch, index). f raises InputError when `data` is not a readable picture.
    """
    policy = augment.policy(recipe.auto_augment)
    whole = tuple(recipe.crop_scale) == tuple(recipe.crop_ratio) == (1.0, 1.0)

    def preset(data, epoch, index):
        rng = augment.generator(seed, augment.SAMPLE, epoch, index)
        image = decode(data)
        box = (0, 0, *image.size) if whole else augment.crop_box(*image.size, recipe.crop_scale, recipe.crop_ratio, rng)
        image = image.resize((image_size, image_size), FILTERS[recipe.interpolation], box)
        if recipe.hflip and rng.random() < recipe.hflip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = augment.apply(policy, image, rng)
        image = augment.color_jitter(image, recipe.color_jitter, rng)
        pixels = np.array(image)
        if recipe.random_erasing and rng.random() < recipe.random_erasing:
            augment.erase(pixels, rng)
        return pixels

    preset.size = image_size
    return preset


def eval_preset(evaluate):
    """Evaluation pre-processing of `evaluate` (recipe.Evaluate): f(data) -> uint8 (crop, crop, 3).

    The shorter side resized to `resize`, the longer one in proportion and rounded down, then the centre crop: torchvision's Resize and
    CenterCrop on a Pillow image, byte for byte. f raises InputError when `data` is not a readable picture.
    """
    side, crop = evaluate.resize, evaluate.crop

    def preset(data):
        image = decode(data)
        width, height = resized(*image.size, side)
        left, top = round((width - crop) / 2), round((height - crop) / 2)
        image = image.resize((width, height), FILTERS[evaluate.interpolation]) if (width, height) != image.size else image
        return np.array(image.crop((left, top, left + crop, top + crop)))

    preset.size = crop
    return preset


def resized(width, height, side):
    """Size of a picture with its shorter side resized to `side`: the longer one rounded down, as in torchvision."""
    return (side, side * height // width) if width <= height else (side * width // height, side)


def decode(data):
    """Pillow's RGB image of a picture's bytes. Raises InputError."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except Exception as error:  # Pillow raises almost anything on damaged files: OSError, SyntaxError, ValueError, struct.error ...
        what = str(error) if data else "the file is empty"
        raise InputError(f"not a readable picture ({what.splitlines()[0] if what else type(error).__name__})") from None
