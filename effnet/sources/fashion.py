"""Zalando's Fashion-MNIST from its four idx files, as they come from the authors or in Debian's dataset-fashion-mnist.

60,000 pictures of clothes to train on and 10,000 to validate on, grey, 28 x 28 pixels, 10 classes; any part of them in
the same files will do. Xiao et al. 2017, https://arxiv.org/abs/1708.07747.
"""

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from effnet.errors import InputError
from effnet.sources.folder import Source, Split

NAMES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
SIDE, MOST = 28, 1_000_000  # pixels; pictures in a file: a header that says more is damaged
FILES = {"train": "train", "val": "t10k"}  # how the files of each split begin


def parts(root):
    """Names of the four files that `read` looks at in `root`, some of which may not be there."""
    names = [f"{name}-{kind}-ubyte" for name in FILES.values() for kind in ("images-idx3", "labels-idx1")]
    return [name if (Path(root) / name).is_file() else f"{name}.gz" for name in names]


def read(root, work):
    """The Source in the folder `root`; its pictures are written as JPEGs (quality 95) into `work`, a file a split.

    Classes are numbered as the data set numbers them. Raises InputError for a file that is missing or damaged.
    """
    train, val = (_split(root, split, Path(work, split)) for split in FILES)
    return Source(train, val, [str(label) for label in range(len(NAMES))], NAMES)


def arrays(root, split):
    """`(pictures (n, 28, 28), labels (n,))`, uint8, of the files of `split`, "train" or "val". Raises as `read`."""
    images, labels = (Path(root, name) for name in parts(root) if name.startswith(FILES[split]))
    pixels, kinds = idx(images, (SIDE, SIDE)), idx(labels)
    if len(pixels) != len(kinds):
        raise InputError(f"{labels}: {len(kinds):,} labels for {len(pixels):,} pictures in {images.name}")
    if kinds.max() >= len(NAMES):
        raise InputError(f"{labels}: damaged: label {kinds.max()}, there are {len(NAMES)} classes from 0")
    return pixels, kinds


def _split(root, split, place):
    """The Split of two idx files; its pictures go into the file `place`, one after the other."""
    pixels, kinds = arrays(root, split)
    spans, at = np.empty((len(pixels), 2), np.int64), 0
    with open(place, "wb") as file:
        for number, picture in enumerate(pixels):
            jpeg = io.BytesIO()
            Image.fromarray(picture).save(jpeg, "JPEG", quality=95)
            spans[number] = at, file.write(jpeg.getbuffer())
            at += spans[number, 1]
    names = [f"{label}/{number:05d}.JPEG" for number, label in enumerate(kinds.tolist())]
    return Split(names, kinds.astype(np.int32), str(place), None, spans)


def idx(path, shape=()):
    """uint8 (n, *shape) of the idx file at `path`, gzipped if it is named .gz.

    The format: two zeros, 8 for unsigned bytes, the number of dimensions, each dimension as a big-endian uint32, the
    values; http://yann.lecun.com/exdb/mnist. Raises InputError for a file that is missing, damaged or of another shape.
    """
    again = "fetch it again (Debian's package dataset-fashion-mnist brings it)"
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            head = np.frombuffer(file.read(8 + 4 * len(shape)), np.uint8)
            expected = [0, 0, 8, 1 + len(shape)]
            if len(head) < 8 + 4 * len(shape) or head[:4].tolist() != expected:
                raise InputError(f"{path}: not an idx file of bytes with {expected[3]} dimensions; {again}")
            count, *found = head[4:].view(">u4").tolist()
            if tuple(found) != shape or not 0 < count <= MOST:
                raise InputError(
                    f"{path}: its header says {' x '.join(map(str, (count, *found)))}, "
                    f"expected {' x '.join(map(str, ('pictures', *shape)))}; {again}"
                )
            size = count * math.prod(shape)
            values = np.frombuffer(file.read(size + 1), np.uint8)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; data.root must hold {', '.join(parts(path.parent))}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged or unreadable ({error}); {again}") from None
    if len(values) != size:
        problem = "truncated" if len(values) < size else "more bytes than its header says"
        raise InputError(f"{path}: {problem}; {again}")
    return values.reshape(count, *shape)
