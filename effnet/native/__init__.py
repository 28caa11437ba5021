"""JPEG decoding and resampling in C (image.h), compiled for this machine and called through ctypes, which releases Python's lock;
and the operators of effnet/kernels.py (kernels.c), which MindSpore calls.

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
FLAGS = ["-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off", "-fopenmp", "-Wno-psabi"]
FILTERS = {"bilinear": 2, "bicubic": 3}


def build():
    """Path of the shared library; compiled if it is not there yet. Raises InputError if that fails."""
    sources = sorted(FOLDER.glob("*.[ch]"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + " ".join(FLAGS).encode()).hexdigest()[:12]
    library = FOLDER / f"native-{digest}.so"
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
        raise InputError(f"{FOLDER}: cannot compile it ({errors[0]}); install gcc and libjpeg-dev") from None
    for stale in set(FOLDER.glob("native-*.so")) - {library}:
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
    if getattr(_library(), name)(*arguments, error):
        raise InputError(error.value.decode("utf-8", "replace"))


def is_jpeg(data):
    """Whether bytes begin as a JPEG does, whatever their file is called."""
    return data[:3] == b"\xff\xd8\xff"


def size(data):
    """(width, height) of a JPEG's bytes. Raises InputError, as all functions here do when the bytes are damaged or the sizes do not fit."""
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
    """uint8 (height, width, 3): Image.resize((width, height), interpolation, box) of `pixels`, uint8 (h, w, 3), as Pillow 13 does it."""
    pixels, out = np.ascontiguousarray(pixels), np.empty((height, width, 3), np.uint8)
    h, w = pixels.shape[:2]
    box = (ctypes.c_double * 4)(*(box or (0, 0, w, h)))
    _call("image_resize", pixels.ctypes.data, w, h, box, FILTERS[interpolation], width, height, out.ctypes.data)
    return out


def train(data, box, interpolation, flip, out):
    """Fill `out`, uint8 (size, size, 3), with `box` (left, top, right, bottom) of a JPEG, mirrored if `flip`; image_train in image.h."""
    _call("image_train", data, len(data), (ctypes.c_int * 4)(*box), FILTERS[interpolation], len(out), flip, out.ctypes.data)


def evaluate(data, side, interpolation, out):
    """Fill `out`, uint8 (crop, crop, 3), with the middle of a JPEG resized to a shorter side of `side`; image_eval in image.h."""
    _call("image_eval", data, len(data), side, FILTERS[interpolation], len(out), len(out), out.ctypes.data)


def evaluate_pixels(pixels, side, interpolation, out):
    """`evaluate` of a picture that is decoded already, uint8 (h, w, 3)."""
    pixels, (h, w) = np.ascontiguousarray(pixels), pixels.shape[:2]
    _call("image_eval_pixels", pixels.ctypes.data, w, h, side, FILTERS[interpolation], len(out), len(out), out.ctypes.data)
