"""What is on a picture: class names and probabilities from a checkpoint or an exported ONNX file, which bring their
own pre-processing.
"""

import glob
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from effnet.data.presets import eval_preset
from effnet.errors import InputError
from effnet.loose import ENDINGS


class Guess(NamedTuple):
    """One class of a prediction: its name for people, its id (folder name or wnid), the softmax probability."""

    name: str
    class_id: str
    probability: float


def load(path, runtime="onnx", threads=0):
    """The model at `path`, .onnx or .ckpt, as `(logits, meta, size)`.

    runtime: of an ONNX file, one of effnet.runtimes.NAMES; threads: 0 for as many as cores. logits: uint8 (N, size,
    size, 3) pictures -> float32 (N, classes). Raises InputError.
    """
    if Path(path).suffix == ".ckpt":
        if runtime != "onnx":
            raise InputError(f"{path}: a checkpoint, which {runtime} does not run; name an ONNX file")
        return of_checkpoint(path)
    from effnet.runtimes import by_name

    model = by_name.load(by_name.file_of(path, runtime), runtime, threads)
    height, width = model.size
    if height != width:
        raise InputError(
            f"{path}: takes pictures of {height} x {width}; predict needs a square model: "
            "set export.height and export.width to 0"
        )
    return model, model.meta, height


def load_fast(path, count):
    """`(model, batch, words)`: the ONNX file at `path` as `effnet tune` found it fastest for `count` pictures, and what
    that is. Where it was not tuned here, as without tuning.
    """
    from effnet.runtimes import tuned
    from effnet.runtimes.exported import require

    if Path(path).suffix == ".ckpt":
        raise InputError(f"{path}: a checkpoint, which is not tuned; name an ONNX file")
    require(path)
    row = tuned.find(path, count)
    if not row:
        return load(path), 1, f"{path}: not tuned on this machine, so onnx it is; `effnet tune {path}` takes a minute"
    return load(path, row["runtime"], row["threads"]), row["batch"], f"{tuned.told(row)}, as tuned"


def of_checkpoint(path):
    """The same of a checkpoint, on the CPU."""
    from effnet import trained
    from effnet.network import device
    from effnet.network.efficientnet import load_weights
    from effnet.network.predict import Predict

    device.start("CPU")
    import mindspore as ms  # after our own modules, which say in a sentence where it is not installed

    weights, meta = trained.load(path)
    net = Predict(meta)
    load_weights(net.net, weights)
    return lambda images: net(ms.Tensor(images)).asnumpy(), meta, meta["crop"]


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
    from pydantic import ValidationError  # late, as all that takes long to import

    from effnet.recipe import Evaluate

    resize = round(meta["resize"] * size / meta["crop"])
    try:
        return eval_preset(
            Evaluate(resize=resize, crop=size, interpolation=meta["interpolation"], batch_size=1, amp_level="O0")
        )
    except ValidationError:
        raise InputError(
            f"the model takes pictures of {size} pixels, cut from {resize}: it says of itself what it cannot be; "
            "export it again"
        ) from None


def predict(model, paths, top=5, batch=1):
    """Yield `(path, guesses, problem)` for each picture in turn: the `top` likeliest classes, best first, or None and
    what is wrong with the file. `batch` pictures are answered at a time.
    """
    logits, meta, size = model
    look, waiting = preset(meta, size), []
    for i, path in enumerate(paths, 1):
        waiting.append((path, *_read(path, look)))
        images = [image for _, image, _ in waiting if image is not None]
        if len(images) < batch and i < len(paths):
            continue
        answers = iter(logits(np.stack(images)) if images else ())
        for path, image, problem in waiting:
            yield path, None if image is None else guesses_of(next(answers), meta, top), problem
        waiting = []


def _read(path, look):
    """`(picture, "")`, or `(None, what is wrong with the file)`."""
    if not os.path.isfile(path):  # a pipe or a device would be waited for
        what = "a folder without pictures" if os.path.isdir(path) else "not a file"
        return None, what if os.path.exists(path) else "no such file or directory"
    try:
        return look(Path(path).read_bytes()), ""
    except InputError as error:
        return None, f"not a readable picture ({error})"
    except OSError as error:
        return None, error.strerror.lower()


def guesses_of(logits, meta, top):
    """The `top` likeliest classes of one picture's logits (classes,), best first."""
    found = logits.astype(np.float64)
    odds = np.exp(found - found.max())
    odds /= odds.sum()
    ids = meta.get("class_ids") or meta["classes"]
    best = np.argsort(-found, kind="stable")[:top]
    return [Guess(meta["classes"][i], ids[i], float(odds[i])) for i in best]
