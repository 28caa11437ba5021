"""scikit-learn's 1,797 handwritten digits, 8x8 pixels, as a folder of JPEGs in ImageNet's layout: the data set that
needs no download.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from effnet.sources.folder import held_out

COUNT = 1797
SIDE = 32  # pixels; a JPEG block is 8x8, so a digit left at 8x8 would be one block and nothing to crop


def write(root):
    """Write root/train/DIGIT/*.JPEG and root/val/DIGIT/*.JPEG; a fixed fifth of each digit validates."""
    from sklearn.datasets import load_digits  # seconds to import, and only this source needs it

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    for digit in range(10):
        members = np.flatnonzero(digits.target == digit)
        for i, val in zip(members, held_out(len(members), seed=digit), strict=True):
            path = Path(root) / ("val" if val else "train") / str(digit) / f"digit_{i:04d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[i]).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, "JPEG", quality=95)
