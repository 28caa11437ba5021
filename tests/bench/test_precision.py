"""bench/precision.py: the graph that rounds, against NumPy's and ml_dtypes' own float16 and bfloat16."""

import json

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench import precision
from effnet.comparison import parity

DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
SIDE = 64


def to_tf32(array):
    """To ten bits of mantissa by adding half of what falls away, ties to even, as integers."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0xFFF + (bits >> 13 & 1)) & np.uint32(0xFFFFE000)).view(np.float32)


def by_numpy(kind):
    return to_tf32 if kind == "tf32" else lambda array: array.astype(DTYPES[kind]).astype(np.float32)


@pytest.fixture
def values():
    """Of all signs and of sizes that float16 has as normal numbers; ties among them."""
    random = np.random.default_rng(1)
    found = random.uniform(1, 2, (SIDE, SIDE)) * 2.0 ** random.integers(-14, 12, (SIDE, SIDE))
    found *= random.choice([-1, 1], found.shape)
    found[0] = 1 + np.arange(SIDE) * 2.0**-11
    found[1] = 1 + np.arange(SIDE) * 2.0**-8
    return found.astype(np.float32)


@pytest.mark.parametrize("kind", precision.BITS)
def test_rounds_to_the_nearest_as_numpy_does(values, kind):
    assert np.array_equal(precision.rounded(values, precision.BITS[kind]), by_numpy(kind)(values))


def graph(weights):
    """tanh(x @ weights) @ weights."""
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", "w"], ["y"]),
    ]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE]) for name in ("x", "y")]
    made = helper.make_graph(nodes, "g", tensors[:1], tensors[1:], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("kind", precision.BITS)
def test_the_graph_multiplies_what_is_rounded(values, kind):
    """Against NumPy, which rounds the same numbers between the same products."""
    weights, round_ = np.random.default_rng(2).normal(size=(SIDE, SIDE)).astype(np.float32) / 32, by_numpy(kind)
    x = np.clip(values, -4, 4)
    model = onnx.load_from_string(precision.rounding(graph(weights), kind).SerializeToString())
    onnx.checker.check_model(model)
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    answer = np.tanh(maybe(round_, round_(x) @ round_(weights), kind))
    expected = round_(answer) @ round_(weights)
    exact = np.tanh(x @ weights) @ weights
    off, unrounded = np.abs(found - expected).max(), np.abs(found - exact).max()
    assert unrounded > 1e-4 and off < unrounded / 10


def maybe(round_, array, kind):
    """float16 rounds what a layer answers too."""
    return round_(array) if kind == "float16" else array


def test_the_limits_of_parity_are_twice_what_was_measured():
    kept = json.loads(precision.KEPT.read_text())
    for kind, limit in parity.LIMITS.items():
        assert limit >= 2 * max(found[kind]["off"] for found in kept.values())
    real = [found[precision.REAL]["off"] for found in kept.values() if precision.REAL in found]
    assert real and parity.LIMITS["bfloat16"] >= 2 * max(real)
