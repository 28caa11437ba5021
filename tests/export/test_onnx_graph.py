"""The ONNX graph against MindSpore on random weights, and what the runtime refuses."""

import numpy as np
import onnx
import pytest

from effnet.arch.initial import initial_weights
from effnet.errors import InputError
from effnet.runtimes.onnx_runtime import Model
from tests.peers.reference import shapes_of

device.start("CPU")

import mindspore as ms  # noqa: E402

from effnet.arch.family import plan  # noqa: E402
from effnet.mindir import write as export  # noqa: E402
from effnet.network import efficientnet as network  # noqa: E402


def meta(variant="efficientnet_toy", padding="same"):
    classes = [f"class {i}" for i in range(10)]
    return {
        "variant": variant, "class_num": 10, "padding": padding, "image_size": 48, "classes": classes, "class_ids": classes,
        "mean": [127.5, 120.0, 110.0], "std": [60.0, 61.0, 62.0], "resize": 48, "crop": 48, "interpolation": "bilinear",
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


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("normalize", ["outside", "inside"])
def test_logits_equal_mindspore_s(tmp_path, pictures, padding, normalize):
    m, weights = meta(padding=padding), random_weights()
    export.to_onnx(tmp_path / "m.onnx", weights, m, 48, 48, 21, normalize)
    net = network.EfficientNet(m["variant"], 10, padding)
    net.update_parameters_name()
    network.load_weights(net, weights)
    net.set_train(False)
    x = ((pictures.astype(np.float32) - np.array(m["mean"], np.float32)) / np.array(m["std"], np.float32)).transpose(
        0, 3, 1, 2
    )
    expected = net(ms.Tensor(np.ascontiguousarray(x))).asnumpy()
    model = Model(tmp_path / "m.onnx")
    assert np.abs(expected).max() > 1e-3
    assert np.abs(model(pictures) - expected).max() < 1e-5
    assert np.abs(model(pictures[:1]) - expected[:1]).max() < 1e-5  # any batch


def test_the_file_is_clean_small_and_says_what_it_is(tmp_path):
    m = meta("efficientnet_b2")
    export.to_onnx(tmp_path / "m.onnx", random_weights("efficientnet_b2"), m, 260, 260, 21, "outside")
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
    export.to_onnx(tmp_path / "f32.onnx", random_weights(), meta(), 48, 48, 21, "outside")
    export.to_onnx(tmp_path / "f16.onnx", random_weights(), meta(), 48, 48, 21, "outside", np.float16)
    f32, f16 = Model(tmp_path / "f32.onnx")(pictures), Model(tmp_path / "f16.onnx")(pictures)
    assert 0 < np.abs(f16 - f32).max() < 0.02 * np.abs(f32).max()
    assert (tmp_path / "f16.onnx").stat().st_size < 0.7 * (tmp_path / "f32.onnx").stat().st_size


def test_an_absent_provider_is_an_error_not_a_silent_cpu_run(tmp_path):
    export.to_onnx(tmp_path / "m.onnx", random_weights(), meta(), 48, 48, 21, "outside")
    with pytest.raises(InputError, match="onnx.provider: CANN asked for"):
        Model(tmp_path / "m.onnx", "CANN")


def test_what_is_not_our_model_is_refused(tmp_path, pictures):
    with pytest.raises(InputError, match="no such file"):
        Model(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not onnx")
    with pytest.raises(InputError, match="bad.onnx: ONNX Runtime cannot load it"):
        Model(tmp_path / "bad.onnx")
    export.to_onnx(tmp_path / "m.onnx", random_weights(), meta(), 48, 48, 21, "outside")
    with pytest.raises(InputError, match="48 x 48 pixels, got 32 x 32"):
        Model(tmp_path / "m.onnx")(pictures[:, :32, :32])
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.input[0].name = model.graph.node[0].input[0] = "x"
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InputError, match="expected input `image`"):
        Model(tmp_path / "other.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    kept = [p for p in model.metadata_props if p.key != "classes"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, tmp_path / "nameless.onnx")
    with pytest.raises(InputError, match="nameless.onnx: expected .* class names inside"):
        Model(tmp_path / "nameless.onnx")


def test_air_without_ascend_is_refused(tmp_path):
    with pytest.raises(InputError, match="air needs an Ascend backend"):
        export.to_mindspore(tmp_path / "m.air", random_weights(), meta(), 48, 48, "AIR")
    assert list(tmp_path.iterdir()) == []
