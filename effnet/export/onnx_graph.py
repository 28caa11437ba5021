"""The ONNX graph, written straight from weights: batch normalisation folded, dynamic batch, few nodes, metadata inside.

MindSpore's own export (mindspore.onnx.export) gives opset 11 and leaves normalisation and means as chains of small
nodes; see docs/design.md for both.
"""

import json
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from effnet.arch.family import plan
from effnet.files import whole


class Graph:
    """Nodes and constants as they are added, in order."""

    def __init__(self, dtype):
        self.nodes, self.constants, self.dtype = [], [], dtype

    def constant(self, name, array, dtype=None):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype or self.dtype), name))
        return name

    def node(self, op, name, *inputs, **attributes):
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name


def write(path, weights, meta, height, width, opset, normalize, dtype=np.float32):
    """Write the file of `build`'s graph, whole or not at all."""
    model = build(weights, meta, height, width, opset, normalize, dtype)
    with whole(path) as file:
        file.write(model.SerializeToString(deterministic=True))


def build(weights, meta, height, width, opset=21, normalize="outside", dtype=np.float32):
    """An onnx.ModelProto `image` -> `logits` (N, classes) float32 from `{name: float32 array}` and a model's meta
    (effnet/runs/identity.py).

    normalize 'outside': image is (N, 3, height, width) float32, already (x - mean) / std; 'inside': (N, height, width,
    3) uint8. dtype float16 computes in half precision between casts at both ends.
    """
    sizes, graph = plan(meta["variant"]), Graph(dtype)
    act = _relu6 if sizes.lite else _swish
    x = _input(graph, meta, normalize)
    size = (height, width)
    x, size = _conv(graph, weights, "stem", x, size, 2, meta)
    x = act(graph, "stem", x)
    for i, block in enumerate(sizes.blocks):
        name, skip = f"blocks.{i}", x
        if block.expand > 1:
            x, _ = _conv(graph, weights, f"{name}.expand", x, size, 1, meta)
            x = act(graph, f"{name}.expand", x)
        x, size = _conv(graph, weights, f"{name}.depthwise", x, size, block.stride, meta)
        x = act(graph, f"{name}.depthwise", x)
        if block.channels_se:
            x = _squeeze_excite(graph, weights, f"{name}.se", x)
        x, _ = _conv(graph, weights, f"{name}.project", x, size, 1, meta)
        if block.stride == 1 and block.channels_in == block.channels_out:
            x = graph.node("Add", f"{name}.add", x, skip)
    x, _ = _conv(graph, weights, "head", x, size, 1, meta)
    x = graph.node("GlobalAveragePool", "pool", act(graph, "head", x))
    x = graph.node("Flatten", "features", x)
    kernel, bias = (graph.constant(f"classifier.{part}", weights[f"classifier.{part}"]) for part in ("weight", "bias"))
    half = dtype == np.float16
    x = graph.node("Gemm", "classifier" if half else "logits", x, kernel, bias, transB=1)
    if half:
        graph.node("Cast", "logits", x, to=TensorProto.FLOAT)
    return _model(graph, meta, height, width, opset, normalize)


def _model(graph, meta, height, width, opset, normalize):
    inside = normalize == "inside"
    shape = ["batch", height, width, 3] if inside else ["batch", 3, height, width]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8 if inside else TensorProto.FLOAT, shape)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", meta["class_num"]])
    body = helper.make_graph(graph.nodes, meta["variant"], [image], [logits], graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], producer_name="effnet")
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)
    helper.set_model_props(
        model,
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in properties(meta, normalize).items()
        },
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def properties(meta, normalize):
    """Metadata properties of the ONNX file: a model's meta and where the normalisation is; lists as JSON."""
    return {**meta, "normalize": normalize}


def _input(graph, meta, normalize):
    half = TensorProto.FLOAT16 if graph.dtype == np.float16 else TensorProto.FLOAT
    if normalize == "outside":
        return graph.node("Cast", "half", "image", to=half) if graph.dtype == np.float16 else "image"
    x = graph.node("Cast", "pixels", "image", to=TensorProto.FLOAT)
    x = graph.node("Sub", "centred", x, graph.constant("mean", meta["mean"], np.float32))
    x = graph.node("Div", "normalized", x, graph.constant("std", meta["std"], np.float32))
    x = graph.node("Transpose", "channels_first", x, perm=[0, 3, 1, 2])
    return graph.node("Cast", "half", x, to=half) if graph.dtype == np.float16 else x


def _conv(graph, weights, name, x, size, stride, meta):
    """Convolution with its batch normalisation folded in; returns (output name, output size)."""
    kernel = weights[f"{name}.conv.weight"].astype(np.float64)
    variance = weights[f"{name}.bn.moving_variance"].astype(np.float64) + meta["bn_eps"]
    scale = weights[f"{name}.bn.gamma"] / np.sqrt(variance)
    bias = weights[f"{name}.bn.beta"] - weights[f"{name}.bn.moving_mean"] * scale
    inputs = graph.constant(f"{name}.weight", kernel * scale[:, None, None, None]), graph.constant(f"{name}.bias", bias)
    begin, end, out = zip(*(_pads(side, kernel.shape[2], stride, meta["padding"]) for side in size), strict=True)
    group = kernel.shape[0] if name.endswith("depthwise") else 1
    attributes = {"kernel_shape": kernel.shape[2:], "strides": [stride] * 2, "pads": [*begin, *end], "group": group}
    return graph.node("Conv", f"{name}.conv", x, *inputs, **attributes), out


def _pads(side, kernel, stride, padding):
    """(before, after, output side).

    TensorFlow's SAME puts the odd pixel after, PyTorch's k//2 pads both sides alike.
    """
    if padding == "symmetric":
        return kernel // 2, kernel // 2, (side + 2 * (kernel // 2) - kernel) // stride + 1
    out = math.ceil(side / stride)
    total = max(0, (out - 1) * stride + kernel - side)
    return total // 2, total - total // 2, out


def _swish(graph, name, x):
    return graph.node("Mul", f"{name}.swish", x, graph.node("Sigmoid", f"{name}.sigmoid", x))


def _relu6(graph, name, x):
    bounds = [graph.constant(f"{name}.{bound}", np.array(value)) for bound, value in (("zero", 0), ("six", 6))]
    return graph.node("Clip", f"{name}.relu6", x, *bounds)


def _squeeze_excite(graph, weights, name, x):
    gate = graph.node("GlobalAveragePool", f"{name}.pool", x)
    for part in ("reduce", "expand"):
        kernel = graph.constant(f"{name}.{part}.weight", weights[f"{name}.{part}.weight"][:, :, None, None])
        gate = graph.node(
            "Conv",
            f"{name}.{part}",
            gate,
            kernel,
            graph.constant(f"{name}.{part}.bias", weights[f"{name}.{part}.bias"]),
        )
        gate = (
            _swish(graph, f"{name}.{part}", gate) if part == "reduce" else graph.node("Sigmoid", f"{name}.gate", gate)
        )
    return graph.node("Mul", f"{name}.scaled", x, gate)
