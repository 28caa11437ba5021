"""ONNX, MINDIR and AIR out of a checkpoint."""

import os
from pathlib import Path

from effnet import device  # noqa: F401  before mindspore

import mindspore as ms
import numpy as np
import onnx

from effnet import onnx_graph
from effnet.errors import InputError
from effnet.files import whole
from effnet.network import EfficientNet, load_weights


def to_onnx(path, weights, meta, height, width, opset, normalize, dtype=np.float32):
    """Write the ONNX file (effnet/onnx_graph.py says what is in it)."""
    model = onnx_graph.build(weights, meta, height, width, opset, normalize, dtype)
    with whole(path) as file:
        file.write(model.SerializeToString(deterministic=True))


def to_mindspore(path, weights, meta, height, width, file_format):
    """Write MINDIR (dynamic batch) or AIR (batch 1; needs an Ascend backend): float32 NCHW, normalised -> logits."""
    if file_format == "AIR" and device.missing("Ascend"):
        raise InputError(f"export.formats: air needs an Ascend backend: {device.missing('Ascend')}; export mindir here, convert it there")
    net = EfficientNet(meta["variant"], meta["class_num"], meta["padding"])
    net.update_parameters_name()
    load_weights(net, weights)
    net.set_train(False)
    batch = None if file_format == "MINDIR" else 1
    image = ms.Tensor(shape=[batch, 3, height, width], dtype=ms.float32)
    path = Path(path)
    aside = path.with_name(f".{path.stem}.part")
    written = aside.with_suffix(f".{file_format.lower()}")
    try:
        ms.export(net, image, file_name=str(written.with_suffix("")), file_format=file_format)
        os.chmod(written, 0o644)  # MindSpore writes 0400
        with open(written, "rb") as file:
            os.fsync(file.fileno())
        os.replace(written, path)
    finally:
        written.unlink(missing_ok=True)
