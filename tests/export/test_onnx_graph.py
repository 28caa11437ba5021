"""The ONNX graph against MindSpore on random weights; the file is clean and says what it is."""

import mindspore as ms
import numpy as np
import onnx
import pytest

from effnet.arch.family import plan
from effnet.arch.initial import initial_weights
from effnet.export import onnx_graph
from effnet.network import device
from effnet.network.efficientnet import EfficientNet, load_weights
from effnet.network.layers import Layers
from effnet.runtimes.onnx_runtime import Model
from tests.peers.reference import shapes_of

device.start("CPU")


def meta(variant="efficientnet_toy", padding="same", bn_eps=1e-3):
    classes = [f"class {i}" for i in range(10)]
    return {
        "variant": variant, "class_num": 10, "padding": padding, "bn_eps": bn_eps, "image_size": 48,
        "classes": classes, "class_ids": classes, "mean": [127.5, 120.0, 110.0], "std": [60.0, 61.0, 62.0],
        "resize": 48, "crop": 48, "interpolation": "bilinear",
    }  # fmt: skip


def random_weights(variant="efficientnet_toy"):
    """Initial weights with running statistics that are not 0 and 1, so that folding them shows."""
    random = np.random.default_rng(5)
    weights = initial_weights(shapes_of(plan(variant), 10), seed=2)
    for name, value in weights.items():
        if ".bn." in name:
            weights[name] = value + random.uniform(0.05, 0.2, value.shape).astype(np.float32)
    return weights


@pytest.fixture
def pictures():
    return np.random.default_rng(1).integers(0, 256, (5, 48, 48, 3)).astype(np.uint8)


@pytest.mark.parametrize("padding, bn_eps", [("same", 1e-3), ("symmetric", 1e-5)])
@pytest.mark.parametrize("normalize", ["outside", "inside"])
def test_logits_equal_mindspore_s(tmp_path, pictures, padding, bn_eps, normalize):
    m, weights = meta(padding=padding, bn_eps=bn_eps), random_weights()
    onnx_graph.write(tmp_path / "m.onnx", weights, m, 48, 48, 21, normalize)
    net = EfficientNet(m["variant"], 10, Layers(padding, bn_eps))
    net.update_parameters_name()
    load_weights(net, weights)
    net.set_train(False)
    x = (pictures.astype(np.float32) - np.array(m["mean"], np.float32)) / np.array(m["std"], np.float32)
    expected = net(ms.Tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).asnumpy()
    model = Model(tmp_path / "m.onnx")
    assert np.abs(expected).max() > 1e-3
    assert np.abs(model(pictures) - expected).max() < 1e-5
    onnx_graph.write(tmp_path / "other.onnx", weights, m | {"bn_eps": 1.01e-3 - bn_eps}, 48, 48, 21, normalize)
    assert np.abs(Model(tmp_path / "other.onnx")(pictures) - expected).max() > 2e-5  # had it another epsilon
    assert np.abs(model(pictures[:1]) - expected[:1]).max() < 1e-5  # any batch


def test_the_file_is_clean_small_and_says_what_it_is(tmp_path):
    m = meta("efficientnet_b2")
    onnx_graph.write(tmp_path / "m.onnx", random_weights("efficientnet_b2"), m, 260, 260, 21, "outside")
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(
        onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True), full_check=True
    )
    assert [i.name for i in model.graph.input] == ["image"] and [o.name for o in model.graph.output] == ["logits"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert len(model.graph.node) < 409, "MindSpore's own export has 409 nodes"
    said = Model(tmp_path / "m.onnx").meta
    assert {key: said[key] for key in m} == m and said["normalize"] == "outside"


def test_float16_is_close(tmp_path, pictures):
    onnx_graph.write(tmp_path / "f32.onnx", random_weights(), meta(), 48, 48, 21, "outside")
    onnx_graph.write(tmp_path / "f16.onnx", random_weights(), meta(), 48, 48, 21, "outside", np.float16)
    f32, f16 = Model(tmp_path / "f32.onnx")(pictures), Model(tmp_path / "f16.onnx")(pictures)
    assert 0 < np.abs(f16 - f32).max() < 0.02 * np.abs(f32).max()
    assert (tmp_path / "f16.onnx").stat().st_size < 0.7 * (tmp_path / "f32.onnx").stat().st_size
