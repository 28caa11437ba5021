"""Small pictures, sound, odd and broken, and folders of them."""

import io

import numpy as np
from PIL import Image

from effnet.recipe import Data


def jpeg(seed, size=(48, 40), mode="RGB", **options):
    """A JPEG with some structure, different for each seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, len(Image.new(mode, (1, 1)).getbands())), np.uint8)
    image = Image.fromarray(small.squeeze(), mode if mode == "CMYK" else None).resize(size, Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def png(seed):
    out = io.BytesIO()
    Image.open(io.BytesIO(jpeg(seed))).save(out, "PNG")
    return out.getvalue()


def odd():
    """What ImageNet holds besides plain JPEGs; all of it can be read."""
    return {
        "png": png(1),
        "cmyk": jpeg(2, mode="CMYK"),
        "grey": jpeg(3, mode="L"),
        "exif": jpeg(4, exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken"),
        "trailing": jpeg(5) + b"\0" * 100,
    }


def tree(root, train=6, val=2, classes=("ant", "bee", "cat"), size=(48, 40)):
    """root/train/CLASS/N.JPEG and root/val/CLASS/N.JPEG. Returns {"train" or "val": {name: bytes}}."""
    files = {"train": {}, "val": {}}
    for split, count in (("train", train), ("val", val)):
        for label, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                data = jpeg((split == "val", label, i), size)
                (root / split / name / f"{i}.JPEG").write_bytes(data)
                files[split][f"{name}/{i}.JPEG"] = data
    return files


def settings(root="", **changes):
    """A recipe's data section."""
    values = {
        "source": "folder",
        "root": str(root),
        "shards": 3,
        "shorter_side": 0,
        "subset": False,
        "bad_images": "stop",
        "batch_size": 4,
        "workers": 1,
    }
    return Data(**values | changes)


def contents(folder):
    """{file name: bytes} of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
