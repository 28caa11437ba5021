"""JPEG decoding and resampling in C (image.h), compiled for this machine and called through ctypes, which releases Python's lock.

`python -m effnet.native` compiles it; without that, the first use does. Needs a C compiler and libjpeg-turbo with its headers
(Debian: gcc libjpeg-dev). The library's name carries a digest of the sources, so that it is never a stale one.
"""

import ctypes
import functools
import hashlib
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from effnet.errors import InputError

FOLDER = Path(__file__).parent
# No contraction to fused multiply-add: weights are computed in double, and must be the same on every processor.
FLAGS = ["-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off"]
OK, BAD, NOT_JPEG = range(3)
FILTERS = {"bilinear": 2, "bicubic": 3}


class NotJpeg(InputError):
    """The bytes are not a JPEG's; another decoder may know them."""


def build():
    """Path of the shared library; compiled if it is not there yet. Raises InputError if that fails."""
    sources = sorted(FOLDER.glob("*.[ch]"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + " ".join(FLAGS).encode()).hexdigest()[:12]
    library = FOLDER / f"image-{digest}.so"
    if library.exists():
        return library
    compiler = shlex.split(os.environ.get("CC", "cc"))
    try:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:  # beside it, so that the rename below is atomic
            made = Path(folder) / library.name
            command = [*compiler, *FLAGS, *(str(path) for path in sources if path.suffix == ".c"), "-o", str(made), "-ljpeg", "-lm"]
            subprocess.run(command, check=True, capture_output=True, text=True)
            os.replace(made, library)
    except (OSError, subprocess.CalledProcessError) as error:
        errors = [line for line in (getattr(error, "stderr", None) or "").splitlines() if "error" in line] or [str(error)]
        raise InputError(f"{FOLDER}: cannot compile the JPEG decoder ({errors[0]}); install gcc and libjpeg-dev") from None
    for stale in set(FOLDER.glob("image-*.so")) - {library}:
        stale.unlink(missing_ok=True)
    return library


@functools.cache
def _library():
    library = ctypes.CDLL(str(build()))
    data, pointer, number = (ctypes.c_char_p, ctypes.c_size_t), ctypes.c_void_p, ctypes.c_int
    for name, arguments in {
        "image_size": (*data, pointer, pointer),
        "image_decode": (*data, number, number, pointer),
        "image_resize": (pointer, number, number, pointer, number, number, number, pointer),
        "image_eval": (*data, number, number, number, number, pointer),
        "image_eval_pixels": (pointer, number, number, number, number, number, number, pointer),
        "image_train": (*data, pointer, number, number, number, pointer),
    }.items():
        getattr(library, name).argtypes = (*arguments, ctypes.c_char_p)
    return library


def _call(name, *arguments):
    error = ctypes.create_string_buffer(256)
    code = getattr(_library(), name)(*arguments, error)
    if code:
        raise (NotJpeg if code == NOT_JPEG else InputError)(error.value.decode("utf-8", "replace"))


def size(data):
    """(width, height) of a JPEG's bytes. Raises NotJpeg, InputError."""
    width, height = ctypes.c_int(), ctypes.c_int()
    _call("image_size", data, len(data), ctypes.byref(width), ctypes.byref(height))
    return width.value, height.value


def decode(data):
    """uint8 (height, width, 3), RGB: all of a JPEG. Raises NotJpeg, InputError."""
    width, height = size(data)
    out = np.empty((height, width, 3), np.uint8)
    _call("image_decode", data, len(data), width, height, out.ctypes.data)
    return out


def resize(pixels, width, height, interpolation, box=None):
    """Pillow's Image.resize((width, height), interpolation, box) of uint8 (h, w, 3)."""
    pixels = np.ascontiguousarray(pixels)
    out = np.empty((height, width, 3), np.uint8)
    box = (ctypes.c_double * 4)(*(box or (0, 0, pixels.shape[1], pixels.shape[0])))
    h, w = pixels.shape[:2]
    _call("image_resize", pixels.ctypes.data, w, h, box, FILTERS[interpolation], width, height, out.ctypes.data)
    return out


def train(data, box, size, interpolation, flip):
    """uint8 (size, size, 3): `box` (left, top, right, bottom) of a JPEG resized, mirrored if `flip`; see image_train in image.h."""
    out = np.empty((size, size, 3), np.uint8)
    _call("image_train", data, len(data), (ctypes.c_int * 4)(*box), FILTERS[interpolation], size, flip, out.ctypes.data)
    return out


def evaluate(data, side, crop, interpolation):
    """uint8 (crop, crop, 3): the middle of a JPEG resized to a shorter side of `side`; see image_eval in image.h."""
    out = np.empty((crop, crop, 3), np.uint8)
    _call("image_eval", data, len(data), side, FILTERS[interpolation], crop, crop, out.ctypes.data)
    return out
