"""The exported model under ONNX Runtime. Does not import MindSpore."""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime

from effnet.data.loader import eval_batches
from effnet.data.presets import eval_preset
from effnet.devices import cuda
from effnet.devices.messages import explained, message_for
from effnet.errors import InputError
from effnet.progress import bar

PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "TensorRT": "TensorrtExecutionProvider",
    "CANN": "CANNExecutionProvider",
}


class Model:
    """A session and what the file says of itself. `.meta`: variant, classes, mean, std, resize, crop, interpolation,
    normalize, ...

    Raises InputError for a file that is not a model of ours, and for a provider that is not there: never another one in
    its place.
    """

    def __init__(self, path, provider="CPU", threads=0):
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file; `dvc repro export` writes it, `dvc pull` brings it")
        wanted = PROVIDERS[provider]
        if wanted not in onnxruntime.get_available_providers():
            raise InputError(
                f"onnx.provider: {provider} asked for, but this ONNX Runtime has only {', '.join(_installed())}; "
                "see docs/gpu.md"
            )
        for libraries in {"CUDA": [cuda.LIBRARIES], "TensorRT": [cuda.LIBRARIES, cuda.TENSORRT]}.get(provider, []):
            cuda.load(cuda.CUDA12, libraries)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=[wanted])
        except Exception as error:  # ONNX Runtime raises a dozen classes of its own
            raise InputError(
                message_for(error) or f"{path}: ONNX Runtime cannot load it ({str(error).strip().splitlines()[0]})"
            ) from None
        self.provider = self.session.get_providers()[0]
        if self.provider != wanted:
            raise InputError(
                f"onnx.provider: {provider} asked for, but ONNX Runtime fell back to {self.provider}; run `make doctor`"
            )
        self.meta = {key: _plain(value) for key, value in self.session.get_modelmeta().custom_metadata_map.items()}
        names = [i.name for i in self.session.get_inputs()], [o.name for o in self.session.get_outputs()]
        if names != (["image"], ["logits"]) or "classes" not in self.meta:
            raise InputError(
                f"{path}: expected input `image`, output `logits` and class names inside, found {names}; "
                "export it with this project"
            )
        self.inside = self.meta["normalize"] == "inside"
        self.mean = np.array(self.meta["mean"], np.float32)
        self.std = np.array(self.meta["std"], np.float32)
        shape = self.session.get_inputs()[0].shape
        self.size = tuple(shape[1:3] if self.inside else shape[2:4])

    def __call__(self, images):
        """uint8 (N, H, W, 3) pictures -> logits (N, classes) float32."""
        return self.session.run(["logits"], {"image": self.normalize(images)})[0]

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


def logits_of(model, dataset, settings, batch_size, workers=0):
    """Logits (n, classes) float32 of every picture in the set's order; the loader's threads decode ahead while the
    model runs.
    """
    if len(model.meta["classes"]) != len(dataset.classes):
        raise InputError(
            f"the model knows {len(model.meta['classes'])} classes, the data set has {len(dataset.classes)}; "
            "they do not belong together"
        )
    logits = np.zeros((len(dataset), len(dataset.classes)), np.float32)
    with explained(), bar(total=len(dataset), what="onnx_eval") as progress:
        for batch in eval_batches(dataset, eval_preset(settings), batch_size, workers=workers):
            logits[batch.indices] = model(batch.images)
            progress.update(len(batch.indices))
    return logits


def _plain(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def _installed():
    return [name for name, provider in PROVIDERS.items() if provider in onnxruntime.get_available_providers()]
