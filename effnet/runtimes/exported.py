"""An exported ONNX file as every runtime has it: what it says of itself, and pictures made into its input.

No runtime is imported.
"""

import json
import math
import re
from pathlib import Path

import numpy as np

from effnet import parsed
from effnet.arch.layers import layers
from effnet.data.loader import eval_batches
from effnet.data.presets import eval_preset
from effnet.devices.messages import explained
from effnet.errors import InputError
from effnet.progress import bar


class Exported:
    """What a file of ours says of itself. `.meta`: variant, classes, mean, std, resize, crop, interpolation,
    normalize, ...; `.size`: (height, width) of its pictures in pixels.

    A runtime's Model is one that can be called: uint8 (N, H, W, 3) pictures -> logits (N, classes) float32. Its
    `.provider` says in a word what computes.
    """

    def __init__(self, path, properties, inputs, outputs, shape):
        """properties: the file's metadata, text by name; inputs, outputs: names; shape: of the first input.

        Raises InputError for a model of another exporter.
        """
        self.meta = {key: _plain(value) for key, value in properties.items()}
        if (inputs, outputs) != (["image"], ["logits"]) or "classes" not in self.meta:
            raise InputError(
                f"{path}: expected input `image`, output `logits` and class names inside, found {(inputs, outputs)}; "
                "export it with this project"
            )
        parsed.meta(path, self.meta)
        self.inside = self.meta["normalize"] == "inside"
        self.mean = np.array(self.meta["mean"], np.float32)
        self.std = np.array(self.meta["std"], np.float32)
        self.size = tuple(shape[1:3] if self.inside else shape[2:4])

    def normalize(self, images):
        """uint8 (N, H, W, 3) pictures -> the graph's input, normalised here unless the graph does it."""
        if images.shape[1:3] != self.size:
            raise InputError(
                f"the model takes pictures of {self.size[0]} x {self.size[1]} pixels, "
                f"got {images.shape[1]} x {images.shape[2]}"
            )
        if self.inside:
            return images
        return np.ascontiguousarray(((images.astype(np.float32) - self.mean) / self.std).transpose(0, 3, 1, 2))


def require(path):
    """Raise InputError, naming the stage that writes it, unless the file at `path` is there."""
    if not Path(path).is_file():
        stage = "quantize" if Path(path).parent.name == "quantized" else "export"
        raise InputError(f"{path}: no such file; `dvc repro {stage}` writes it, `dvc pull` brings it")


def logits_of(model, dataset, settings, batch_size, workers=0):
    """Logits (n, classes) float32 of every picture in the set's order; the loader's threads decode ahead while the
    model runs.

    Raises InputError where the classes are other ones, and where memory does not hold a batch.
    """
    if len(model.meta["classes"]) != len(dataset.classes):
        raise InputError(
            f"the model knows {len(model.meta['classes'])} classes, the data set has {len(dataset.classes)}; "
            "they do not belong together"
        )
    _require_memory(model, min(batch_size, len(dataset)))
    logits = np.zeros((len(dataset), len(dataset.classes)), np.float32)
    with explained(), bar(total=len(dataset), what="onnx_eval") as progress:
        for batch in eval_batches(dataset, eval_preset(settings), batch_size, workers=workers):
            logits[batch.indices] = model(batch.images)
            progress.update(len(batch.indices))
    return logits


def _require_memory(model, batch):
    """Raise InputError where a batch takes more than this machine has free: it would be granted, and the program then
    killed without a word.

    Of what it takes only the least: the normalised pictures and, at a byte a value, the widest layer's output.
    """
    free = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    height, width = model.size
    widest = max(row.output[0] * row.output[1] ** 2 for row in layers(model.meta["variant"], height))
    least, free = batch * (12 * height * width + widest), int(free[1]) * 1024 if free else math.inf
    if "CPU" in model.provider and least > free:
        raise InputError(
            f"a batch of {batch:,} pictures of {height} pixels takes at least {least / 2**30:.1f} GiB, "
            f"{free / 2**30:.1f} GiB are free; lower onnx.batch_size"
        )


def _plain(text):
    try:
        return json.loads(text)
    except ValueError:
        return text
