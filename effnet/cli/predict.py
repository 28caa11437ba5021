"""What is on a picture: class names and probabilities from a checkpoint or an exported ONNX file, which bring their
own pre-processing.
"""

import glob
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from effnet.data.presets import eval_preset
from effnet.errors import InputError
from effnet.recipe import Evaluate

# what counts as a picture in a folder
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")


class Guess(NamedTuple):
    """One class of a prediction: its name for people, its id (folder name or wnid), the softmax probability."""

    name: str
    class_id: str
    probability: float


def load(path):
    """The model at `path`, .onnx or .ckpt, as `(logits, meta, size)`.

    logits: uint8 (N, size, size, 3) pictures -> float32 (N, classes). Raises InputError.
    """
    if Path(path).suffix == ".ckpt":
        from effnet.evaluation import evaluator  # MindSpore is needed for checkpoints only

        logits, meta = evaluator.load(path)
        return logits, meta, meta["crop"]
    from effnet.runtimes.onnx_runtime import Model

    model = Model(path)
    height, width = model.size
    if height != width:
        raise InputError(
            f"{path}: takes pictures of {height} x {width}; predict needs a square model: "
            "set export.height and export.width to 0"
        )
    return model, model.meta, height


def pictures(places):
    """Paths of the pictures that `places` name: files, folders (all pictures below, by name) and globs.

    What names none stays as it is.
    """
    found = []
    for place in places:
        if os.path.isdir(place):
            here = sorted(str(path) for path in Path(place).rglob("*") if path.suffix.lower() in ENDINGS)
        else:
            here = [place] if os.path.exists(place) else sorted(glob.glob(place, recursive=True))
        found += here or [place]
    return found


def preset(meta, size):
    """The evaluation pre-processing of a model's meta, for pictures of size x size; f(data) -> uint8 (size, size, 3).

    Of an export of another size than the model's crop, the same share of the picture is seen.
    """
    resize = round(meta["resize"] * size / meta["crop"])
    return eval_preset(Evaluate(resize=resize, crop=size, interpolation=meta["interpolation"], batch_size=1))


def predict(model, paths, top=5):
    """Yield `(path, guesses, problem)` for each picture: the `top` likeliest classes, best first, or None and what
    is wrong with the file.
    """
    logits, meta, size = model
    look = preset(meta, size)
    ids = meta.get("class_ids") or meta["classes"]
    for path in paths:
        try:
            image = look(Path(path).read_bytes())
        except InputError as error:
            yield path, None, f"not a readable picture ({error})"
            continue
        except OSError as error:
            yield path, None, "a folder without pictures" if os.path.isdir(path) else error.strerror.lower()
            continue
        found = logits(image[None])[0].astype(np.float64)
        odds = softmax(found)
        best = np.argsort(-found, kind="stable")[:top]
        yield path, [Guess(meta["classes"][i], ids[i], float(odds[i])) for i in best], ""
