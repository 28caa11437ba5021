"""Pre-processing, the one place for it: what training and what evaluation does to a picture's bytes.

Both give uint8 RGB; subtracting the mean and dividing by the deviation happens on the device. What is what:

* Decoding gives Pillow's bytes (libjpeg-turbo's accurate inverse transform and smooth chroma). Greyscale, CMYK and
  palette pictures become RGB, a PNG named .JPEG is read as what it is. EXIF orientation is not applied, as is the
  convention with ImageNet.
* Resizing gives the bytes of Pillow 13's Image.resize(box=...), whatever Pillow is installed: antialiased, and not
  those of Pillow 12 or before for tall pictures, of which 13 shrinks the height first. "linear" is bilinear without
  antialiasing, of the four nearest pixels however much the picture shrinks: OpenCV's, so MindSpore's own pipeline's.
* Training crops a random box. Where that is at least d = 2, 4 or 8 times the output's size both ways, a JPEG is decoded
  at 1/d of its size (Pillow's Image.draft) and the box divided by d is resized: faster, and hardly another picture, for
  both average over the pixels left out. "linear" does not average, and always decodes at full size.
* Evaluation always decodes at full size.
"""

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from effnet import native
from effnet.data import augment, policies, streams
from effnet.errors import InputError


def train_preset(image_size, recipe, seed):
    """Training pre-processing of `recipe` (recipe.Augment): f(data, epoch, index, out=None) -> uint8 (image_size,
    image_size, 3).

    A random crop resized to a square, a flip, AutoAugment or RandAugment, colour jitter, random erasing: in this order,
    each a pure function of (seed, epoch, index). With `out`, a contiguous array of that shape, the picture is written
    there. f raises InputError when `data` is not a readable picture.
    """
    policy, how = policies.of(recipe), recipe.interpolation
    uncropped = tuple(recipe.crop_scale) == tuple(recipe.crop_ratio) == (1.0, 1.0)

    def preset(data, epoch, index, out=None):
        out = np.empty((image_size, image_size, 3), np.uint8) if out is None else out
        rng = streams.generator(seed, streams.SAMPLE, epoch, index)
        picture = None if native.is_jpeg(data) else decode(data)
        width, height = native.size(data) if picture is None else picture.shape[1::-1]
        box = (
            (0, 0, width, height)
            if uncropped
            else augment.crop_box(width, height, recipe.crop_scale, recipe.crop_ratio, rng)
        )
        flip = recipe.hflip > 0 and rng.random() < recipe.hflip
        interpolation = how if how != "random" else "bilinear" if rng.random() < 0.5 else "bicubic"
        if picture is None:
            native.crop(data, box, interpolation, flip, out)
        else:
            out[:] = native.resize(picture, image_size, image_size, interpolation, box)[:, :: -1 if flip else 1]
        policies.apply(policy, out, rng)
        augment.color_jitter(out, recipe.color_jitter, rng, recipe.jitter_order)
        if recipe.random_erasing and rng.random() < recipe.random_erasing:
            augment.erase(out, rng)
        return out

    preset.size = image_size
    return preset


def eval_preset(evaluate):
    """Evaluation pre-processing of `evaluate` (recipe.Evaluate): f(data, out=None) -> uint8 (crop, crop, 3).

    The shorter side resized to `resize`, the longer one in proportion and rounded down, then the centre crop:
    torchvision's Resize and CenterCrop on a Pillow image, byte for byte. f raises InputError when `data` is not a
    readable picture.
    """
    crop, how = evaluate.crop, (evaluate.resize, evaluate.interpolation)

    def preset(data, out=None):
        out = np.empty((crop, crop, 3), np.uint8) if out is None else out
        if native.is_jpeg(data):
            native.center(data, *how, out)
        else:
            native.center_of_pixels(decode(data), *how, out)
        return out

    preset.size = crop
    return preset


def decode(data):
    """uint8 (height, width, 3) of a picture's bytes in any format, RGB. Raises InputError."""
    if native.is_jpeg(data):
        return native.decode(data)
    try:
        with warnings.catch_warnings():
            # Pillow's about broken EXIF: a few of ImageNet's have it; it is not the pixels' fault
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                return np.array(image.convert("RGB"))
    except UnidentifiedImageError:  # its own message names a buffer's address
        raise InputError("of no known picture format" if data else "the file is empty") from None
    except (
        Exception
    ) as error:  # Pillow raises almost anything on damaged files: OSError, SyntaxError, ValueError, struct.error ...
        raise InputError(str(error).splitlines()[0] if data and str(error) else "the file is empty") from None
