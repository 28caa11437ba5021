"""Initial weights from names and shapes alone."""

import math
import zlib

import numpy as np


def initial_weights(shapes, seed, kind="fan_out"):
    """Explicit initial values, float32: `{name: array}` for `{name: shape}`; a pure function of (seed, name, shape).

    Kernels with `kind` "normal": N(0, 0.01), as MindSpore's layers up to 2.0 and so the original. "fan_out": as in the
    TensorFlow reference, convolutions normal with variance 2 / fan-out, where a depthwise kernel's
    fan-out is k*k; the classifier uniform within 1 / sqrt(classes), but no wider than for 1000 classes: with ten, 1 /
    sqrt(10) over B2's 1408 features starts at twice the loss of guessing and RMSProp takes epochs to recover. Biases
    and running means 0, scales and running variances 1.
    """
    weights = {}
    for name, shape in shapes.items():
        random = np.random.Generator(np.random.Philox([seed, zlib.crc32(name.encode())]))
        if kind == "normal" and len(shape) > 1:
            value = random.normal(0, 0.01, shape)
        elif len(shape) == 4:
            depthwise = name.endswith("depthwise.conv.weight")
            fan_out = shape[2] * shape[3] * (1 if depthwise else shape[0])
            value = random.normal(0, math.sqrt(2 / fan_out), shape)
        elif name == "classifier.weight":
            limit = 1 / math.sqrt(max(shape[0], 1000))
            value = random.uniform(-limit, limit, shape)
        elif len(shape) == 2:  # squeeze-and-excitation: 1x1 convolutions on one pixel
            value = random.normal(0, math.sqrt(2 / shape[0]), shape)
        else:
            value = np.ones(shape) if name.endswith(("gamma", "moving_variance")) else np.zeros(shape)
        weights[name] = value.astype(np.float32)
    return weights
