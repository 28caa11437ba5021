"""int8 out of the exported ONNX file, by ONNX Runtime's static quantization. Does not import MindSpore.

What was chosen, and by what measurement (docs/performance.md has the figures):

* Q/DQ pairs around every operator, Sigmoid, Mul and the squeeze-excite branch included. Leaving these in float32 costs
  more than it gains: each island has to be converted to float and back, and B2 becomes slower than the float32 file.
* The classifier alone stays float32: its output is the answer, and eight bits cut the largest logits off. It takes no
  time.
* uint8 activations and signed weights, one scale per output channel. Signed activations are equally exact but lose the
  fast kernels on x86.
* Weights of seven bits. Processors without VNNI add two products of eight bits in sixteen, which saturates: logits were
  off by 50 there, and a file answered one thing on one machine and another on the next.
* Ranges are the least and largest value seen. Percentiles answered the same pictures and took seven times as long to
  find.
"""

import contextlib
import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from effnet.data.loader import picture
from effnet.data.presets import eval_preset
from effnet.errors import InputError
from effnet.files import whole
from effnet.progress import bar
from effnet.runtimes.onnx_runtime import Model


def calibration_pictures(dataset, settings, count):
    """uint8 (count, crop, crop, 3): pictures spread evenly over `dataset`, through the evaluation preset of `settings`
    (recipe.Evaluate).

    Raises InputError if the set holds fewer, and for a picture that cannot be read.
    """
    if len(dataset) < count:
        raise InputError(
            f"export.calibration_images: {count} asked for, the training set holds {len(dataset)}; "
            "lower the number or add pictures"
        )
    preset = eval_preset(settings)
    return np.stack(
        [
            picture(dataset, int(i), lambda data, _: preset(data))
            for i in np.linspace(0, len(dataset) - 1, count).round()
        ]
    )


def to_int8(path, source, pictures, threads=0):
    """Write the int8 form of the float32 file `source` to `path`; activations are calibrated on `pictures`, uint8 (n,
    H, W, 3).

    The same pictures give the same bytes. Raises InputError for a source that is not ours, and without pictures.
    """
    model = Model(source, threads=threads)
    if not len(pictures):
        raise InputError(f"{path}: no pictures to calibrate int8 with; export.calibration_images says how many to take")
    graph = onnx.load(source)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "int8.onnx"
        with _quiet():
            quantize_static(
                graph,
                made,
                _Reader(model, pictures),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=True,
                nodes_to_exclude=[node.name for node in graph.graph.node if node.op_type == "Gemm"],
            )
        quantized = onnx.load(made)
    properties = model.session.get_modelmeta().custom_metadata_map
    helper.set_model_props(
        quantized, properties | {"quantized": f"int8, calibrated on {len(pictures)} training pictures"}
    )
    with whole(path) as file:
        file.write(quantized.SerializeToString(deterministic=True))


class _Reader:
    """Calibration input as ONNX Runtime asks for it: one picture at a time, None at the end."""

    def __init__(self, model, pictures):
        self.feeds = (
            {"image": model.normalize(pictures[i : i + 1])} for i in bar(range(len(pictures)), what="calibrate int8")
        )

    def get_next(self):
        return next(self.feeds, None)


@contextlib.contextmanager
def _quiet():
    """Without ONNX Runtime's advice to optimise the graph first: ours has nothing left to fold."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
