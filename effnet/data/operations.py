"""What AutoAugment and RandAugment do to a picture, one function an operation, in Pillow's bytes.

Each takes pixels, contiguous uint8 (H, W, 3), then what it needs in units of the picture: slope, share of the side,
degrees, threshold, bits, factor. It changes them in place, without Python's lock, and returns them. The geometric ones
take besides the colour of what moves in and Pillow's resampling (Image.Resampling).
"""

import math

import numpy as np
from PIL import Image

from effnet import native

VALUES = np.arange(256)


def shear_x(pixels, slope, fill, resample):
    return _affine(pixels, (1, slope, 0, 0, 1, 0), fill, resample)


def shear_y(pixels, slope, fill, resample):
    return _affine(pixels, (1, 0, 0, slope, 1, 0), fill, resample)


def translate_x(pixels, share, fill, resample):
    return _affine(pixels, (1, 0, share * pixels.shape[1], 0, 1, 0), fill, resample)


def translate_y(pixels, share, fill, resample):
    return _affine(pixels, (1, 0, 0, 0, 1, share * pixels.shape[0]), fill, resample)


def translate_y_pixels(pixels, count, fill, resample):
    return _affine(pixels, (1, 0, 0, 0, 1, count), fill, resample)


def rotate(pixels, degrees, fill, resample):
    """About the middle; the matrix is rounded as Image.rotate does it."""
    angle = -math.radians(degrees % 360)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    y, x = pixels.shape[0] / 2, pixels.shape[1] / 2
    matrix = (cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y)
    return _affine(pixels, matrix, fill, resample)


def _affine(pixels, matrix, fill, resample):
    if resample == Image.Resampling.NEAREST:
        native.affine(pixels, matrix, fill)
    else:  # Pillow's own takes so long that copying hardly counts
        image = Image.fromarray(pixels)
        pixels[:] = image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=fill)
    return pixels


def auto_contrast(pixels):
    native.autocontrast(pixels)
    return pixels


def equalize(pixels):
    native.equalize(pixels)
    return pixels


def equalize_finely(pixels):
    """Equalize by shares of the picture, not by Pillow's whole numbers of pixels a level: OpenCV's equalizeHist."""
    tables = []
    for counts in native.histogram(pixels):
        least = counts[counts > 0][0]
        scale = np.float32(255) / np.float32(max(1, counts.sum() - least))
        tables.append(np.rint((counts.cumsum() - least).clip(0).astype(np.float32) * scale))
    native.point(pixels, np.array(tables))
    return pixels


def invert(pixels):
    return np.invert(pixels, out=pixels)


def solarize(pixels, threshold):
    """Invert from the threshold up."""
    return _by_value(pixels, np.where(VALUES < threshold, VALUES, 255 - VALUES))


def solarize_within(pixels, low, high):
    """Invert from `low` to `high`, both included; up to 255 where they are the same, as MindSpore does."""
    high = 255 if low == high else high
    return _by_value(pixels, np.where((low <= VALUES) & (VALUES <= high), 255 - VALUES, VALUES))


def solarize_add(pixels, addition):
    """Brighten what is below 128."""
    return _by_value(pixels, np.where(VALUES < 128, np.minimum(255, VALUES + addition), VALUES))


def posterize(pixels, bits):
    """Keep so many bits of each channel; 0 gives black, which ImageOps.posterize refuses."""
    pixels &= 256 - (1 << (8 - bits))
    return pixels


def _by_value(pixels, table):
    native.point(pixels, np.broadcast_to(table, (3, 256)))
    return pixels


def color(pixels, factor):
    return _enhance("color", pixels, factor)


def contrast(pixels, factor):
    return _enhance("contrast", pixels, factor)


def brightness(pixels, factor):
    return _enhance("brightness", pixels, factor)


def sharpness(pixels, factor):
    return _enhance("sharpness", pixels, factor)


def _enhance(kind, pixels, factor):
    native.enhance(kind, pixels, factor)
    return pixels
