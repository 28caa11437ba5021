"""JPEG decoding and resampling (image.h) and what augmentation does to pixels (operations.h) in C, called through
ctypes, which releases Python's lock.

Compiled at its first use (build.py). Needs a C compiler and libjpeg-turbo with its headers (Debian: gcc libjpeg-dev).
"""

import ctypes
import functools
from pathlib import Path

import numpy as np

from effnet.errors import InputError
from effnet.native.build import shared_library

FOLDER = Path(__file__).parent
FILTERS = {"linear": 1, "bilinear": 2, "bicubic": 3}
ENHANCEMENTS = ("brightness", "contrast", "color", "sharpness")


@functools.cache
def _library():
    library = ctypes.CDLL(str(shared_library(FOLDER, ("-ljpeg", "-lm"))))
    data, pointer, number = (ctypes.c_char_p, ctypes.c_size_t), ctypes.c_void_p, ctypes.c_int
    for name, arguments in {
        "image_size": (*data, pointer, pointer),
        "image_decode": (*data, number, number, pointer),
        "image_resize": (pointer, number, number, pointer, number, number, number, pointer),
        "image_eval": (*data, number, number, number, number, pointer),
        "image_eval_pixels": (pointer, number, number, number, number, number, number, pointer),
        "image_train": (*data, pointer, number, number, number, pointer),
        **{f"image_{kind}": (pointer, number, number, ctypes.c_float) for kind in ENHANCEMENTS},
        "image_autocontrast": (pointer, number, number),
        "image_equalize": (pointer, number, number),
        "image_histogram": (pointer, number, number, pointer),
        "image_point": (pointer, number, number, pointer),
        "image_affine": (pointer, number, number, pointer, ctypes.c_char_p),
    }.items():
        getattr(library, name).argtypes = (*arguments, ctypes.c_char_p)
    return library


def _call(name, *arguments):
    error = ctypes.create_string_buffer(256)
    if getattr(_library(), name)(*arguments, error):
        raise InputError(error.value.decode("utf-8", "replace"))


def is_jpeg(data):
    """Whether bytes begin as a JPEG does, whatever their file is called."""
    return data[:3] == b"\xff\xd8\xff"


def size(data):
    """(width, height) of a JPEG's bytes.

    Raises InputError, as all functions here do when the bytes are damaged or the sizes do not fit.
    """
    width, height = ctypes.c_int(), ctypes.c_int()
    _call("image_size", data, len(data), ctypes.byref(width), ctypes.byref(height))
    return width.value, height.value


def decode(data):
    """uint8 (height, width, 3), RGB: all of a JPEG, the bytes that Pillow gives."""
    width, height = size(data)
    out = np.empty((height, width, 3), np.uint8)
    _call("image_decode", data, len(data), width, height, out.ctypes.data)
    return out


def resize(pixels, width, height, interpolation, box=None):
    """uint8 (height, width, 3): `pixels`, uint8 (h, w, 3), resized.

    As Pillow 13's Image.resize((width, height), interpolation, box).
    """
    pixels, out = np.ascontiguousarray(pixels), np.empty((height, width, 3), np.uint8)
    h, w = pixels.shape[:2]
    box = (ctypes.c_double * 4)(*(box or (0, 0, w, h)))
    _call("image_resize", pixels.ctypes.data, w, h, box, FILTERS[interpolation], width, height, out.ctypes.data)
    return out


def crop(data, box, interpolation, flip, out):
    """Fill `out`, uint8 (size, size, 3), with `box` (left, top, right, bottom) of a JPEG, mirrored if `flip`;
    image_train in image.h.
    """
    _call(
        "image_train",
        data,
        len(data),
        (ctypes.c_int * 4)(*box),
        FILTERS[interpolation],
        len(out),
        flip,
        out.ctypes.data,
    )


def center(data, side, interpolation, out):
    """Fill `out`, uint8 (crop, crop, 3), with the middle of a JPEG resized to a shorter side of `side`; image_eval
    in image.h.
    """
    _call("image_eval", data, len(data), side, FILTERS[interpolation], len(out), len(out), out.ctypes.data)


def center_of_pixels(pixels, side, interpolation, out):
    """`center` of a picture that is decoded already, uint8 (h, w, 3)."""
    pixels, (h, w) = np.ascontiguousarray(pixels), pixels.shape[:2]
    _call(
        "image_eval_pixels", pixels.ctypes.data, w, h, side, FILTERS[interpolation], len(out), len(out), out.ctypes.data
    )


# Of `pixels`, contiguous uint8 (h, w, 3), which all but histogram change in place, to the bytes that Pillow gives.


def enhance(kind, pixels, factor):
    """Pillow's ImageEnhance: `kind` is one of ENHANCEMENTS; a factor of 1 changes nothing."""
    factor = max(-1e6, min(factor, 1e6))  # beyond, the same comes out, and integers do not hold it
    _call_on(f"image_{kind}", pixels, factor)


def autocontrast(pixels):
    """Pillow's ImageOps.autocontrast: each channel stretched to 0 to 255."""
    _call_on("image_autocontrast", pixels)


def equalize(pixels):
    """Pillow's ImageOps.equalize: the histogram of each channel made flat."""
    _call_on("image_equalize", pixels)


def histogram(pixels):
    """int64 (3, 256): how often each value occurs in each channel."""
    counts = np.empty((3, 256), np.int64)
    _call_on("image_histogram", pixels, counts.ctypes.data)
    return counts


def point(pixels, tables):
    """Pillow's Image.point: value v of channel c becomes tables[c, v]; `tables` is uint8 (3, 256)."""
    tables = np.ascontiguousarray(tables, np.uint8)
    _call_on("image_point", pixels, tables.ctypes.data)


def affine(pixels, matrix, fill):
    """Pillow's Image.transform(size, AFFINE, matrix, fillcolor=fill): the nearest pixel, `fill` (r, g, b) from outside.

    Raises InputError where coordinates go beyond 16384.
    """
    _call_on("image_affine", pixels, (ctypes.c_double * 6)(*matrix), bytes(fill))


def _call_on(name, pixels, *arguments):
    height, width = pixels.shape[:2]
    assert pixels.flags.c_contiguous and pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
    _call(name, pixels.ctypes.data, width, height, *arguments)
