"""One model in each runtime that is asked for: its logits of a set of pictures, whatever file it came as."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from effnet.errors import InputError
from effnet.files import write_json
from effnet.recipe import Evaluate
from effnet.results import provenance
from effnet.runtimes import NAMES, by_name, infer310, int8
from effnet.runtimes.exported import logits_of
from effnet.weights import pretrained
from tools.pretrained import path_of

# by the name that RUNTIMES has for it, program and precision: the row of tools/facts.py
TITLES = {
    "mindspore": "evaluate",
    "onnx": "onnx_eval",
    "onnx-float16": "float16",
    "onnx-int8": "int8",
    "openvino": "openvino",
    "openvino-bfloat16": "openvino_bfloat16",
    "openvino-int8": "openvino_int8",
    "infer310": "infer310",
}


class Model(NamedTuple):
    """What is evaluated: its file, its weights (None of an ONNX file), its meta, the side of its pictures in pixels."""

    path: Path
    weights: dict | None
    meta: dict
    size: int


def locate(name):
    """Path of the model that `name` names: a file, or a row of effnet/weights/table.yaml, made where it is not there.

    Raises InputError listing the rows.
    """
    path = Path(name)
    if path.suffix in (".ckpt", ".onnx"):
        return path
    if path.exists():
        raise InputError(f"{path}: neither a checkpoint of ours (.ckpt) nor an ONNX file of ours (.onnx)")
    rows = pretrained.sources()
    if name not in rows:
        raise InputError(f"MODEL={name}: no file (.ckpt, .onnx), and no row of weights; there are {', '.join(rows)}")
    made = Path(path_of(name))
    if not made.exists():
        from stages.pretrained import CACHE, write  # needs MindSpore

        write(made, *pretrained.load(name, CACHE))
    return made


def load(path):
    """The `Model` at `path`."""
    if path.suffix == ".ckpt":
        from effnet import trained  # needs MindSpore

        weights, meta = trained.load(path)
        return Model(path, weights, meta, meta["crop"])
    model = by_name.load(path)
    height, width = model.size
    if height != width:
        raise InputError(f"{path}: takes pictures of {height} x {width}; evaluation needs a square model")
    return Model(path, None, model.meta, height)


def asked(names, model):
    """The runtimes in `names`, text with spaces between; by default all float32 ones that need no more than `model`.

    Raises InputError for an unknown one, and for one that cannot run this file.
    """
    found = names.split() or (["onnx"] if model.weights is None else ["mindspore", "onnx"])
    if unknown := [name for name in found if name not in TITLES]:
        raise InputError(f"RUNTIMES: unknown {', '.join(unknown)}; there are {', '.join(TITLES)}")
    as_it_is = set(NAMES) if _held(model) == "float32" else {"onnx", "openvino"}
    if model.weights is None and (wrong := [name for name in found if name not in as_it_is]):
        raise InputError(f"{model.path}: an ONNX file, which {', '.join(wrong)} are not for; name its checkpoint")
    return list(dict.fromkeys(found))


def logits(runtime, model, dataset, calibration, params, work):
    """`(logits (n, classes) float32, device in words)` of the pictures of `dataset`; what is built lies in `work`.

    calibration: the data set whose pictures calibrate int8; params: the recipe in force, for devices, batches, threads.
    """
    if runtime == "mindspore":
        return _mindspore(model, dataset, params)
    if runtime == "infer310":
        return _infer310(model, dataset, params, work)
    path = model.path if model.weights is None else _exported(model, params, work, runtime == "onnx-float16")
    if runtime.endswith("-int8"):
        path = _int8(path, model, calibration, params, work / "int8.onnx")
    session = by_name.load(path, runtime, params.onnx.threads, params.onnx.provider, params.onnx.tf32)
    batch = params.onnx.batch_size
    return logits_of(session, dataset, settings(model, batch), batch, params.data.workers), session.provider


def settings(model, batch, amp_level="O0"):
    """recipe.Evaluate of a model's own pre-processing; of an export of another size the same share of the picture."""
    resize = round(model.meta["resize"] * model.size / model.meta["crop"])
    interpolation = model.meta["interpolation"]
    return Evaluate(resize=resize, crop=model.size, interpolation=interpolation, batch_size=batch, amp_level=amp_level)


def precision(runtime, model, params):
    """Of the arithmetic, in a word: what the runtime's name says, else what an ONNX file holds, else what the recipe in
    force asks of the device.
    """
    if "-" in runtime:
        return runtime.partition("-")[2]
    if (held := _held(model)) != "float32":
        return held
    if runtime == "mindspore":
        train = params.train
        return provenance.precision(train.device_target, params.evaluate.amp_level, train.tf32)
    return provenance.precision(params.onnx.provider, tf32=params.onnx.tf32) if runtime == "onnx" else "float32"


def _held(model):
    """Precision of the weights: int8, float16 or float32."""
    if model.weights is not None:
        return "float32"
    held = {tensor.data_type for tensor in onnx.load(model.path).graph.initializer}
    names = {onnx.TensorProto.INT8: "int8", onnx.TensorProto.FLOAT16: "float16"}
    return next((name for kind, name in names.items() if kind in held), "float32")


def _mindspore(model, dataset, params):
    from effnet.devices.messages import explained
    from effnet.evaluation.evaluator import Evaluator

    target = _started(params.train)
    with explained():
        how = settings(model, params.evaluate.batch_size, params.evaluate.amp_level)
        evaluator = Evaluator(model.meta, how, params.data.workers)
        return evaluator(model.weights, dataset), target


def _started(train):
    """The device of a recipe's section `train`, started; MindSpore can be told once only how."""
    from effnet.network import device

    device.start(train.device_target, train.threads, train.deterministic, train.tf32)
    return train.device_target


def _exported(model, params, work, half):
    from effnet.export import onnx_graph

    path = work / ("float16.onnx" if half else "float32.onnx")
    if not path.exists():
        dtype = np.float16 if half else np.float32
        sides = (model.size, model.size)
        onnx_graph.write(path, model.weights, model.meta, *sides, params.export.opset, params.export.normalize, dtype)
    return path


def _int8(source, model, calibration, params, path):
    if not path.exists():
        count = min(params.export.calibration_images, len(calibration))
        int8.to_int8(
            path, source, int8.calibration_pictures(calibration, settings(model, 1), count), params.onnx.threads
        )
    return path


def _infer310(model, dataset, params, work):
    from effnet.mindir.version_1 import to_version_1
    from effnet.mindir.write import write

    program = infer310.program("build/infer310", infer310.mindspore_lite())
    _started(params.train)
    write(work / "3.mindir", model.weights, model.meta, model.size, model.size)
    to_version_1(work / "3.mindir", work / "1.mindir")
    write_json(work / "meta.json", model.meta | {"height": model.size, "width": model.size})
    batch, threads = params.onnx.batch_size, params.onnx.threads
    answers, report = infer310.logits_of(program, work / "1.mindir", work / "meta.json", dataset, "cpu", batch, threads)
    return answers, f"MindSpore Lite {report['device']}"
