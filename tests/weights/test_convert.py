"""Converting other libraries' weights: every tensor accounted for.

That the logits agree is tests/network/test_efficientnet.py's matter.
"""

import numpy as np
import pytest

from effnet.arch import layers
from effnet.errors import InputError
from effnet.weights.convert import convert, theirs
from tests.network.test_efficientnet import random_weights

B0 = "efficientnet_b0"


def given(variant=B0, style="efficientnet_pytorch", class_num=10):
    """A state dict as the library would give it, and the weights that must come out."""
    weights = random_weights(variant, class_num)
    state = {}
    for ours, name in theirs(variant, style).items():
        value = weights[ours]
        if ".se." in ours and value.ndim == 2:
            value = value[:, :, None, None]  # their squeeze-and-excitation is two 1x1 convolutions
        if style == "keras" and value.ndim == 4:
            value = np.moveaxis(value, (2, 3), (0, 1))  # height and width first
            value = value if ".depthwise." in ours else value.swapaxes(2, 3)
        elif style == "keras" and value.ndim == 2:
            value = value.T
        state[name] = value
    return state, weights


@pytest.mark.parametrize("variant", [B0, "efficientnet_lite1"])
@pytest.mark.parametrize("style", ["efficientnet_pytorch", "torchvision", "timm", "keras"])
def test_all_four_libraries_names_and_layouts(style, variant):
    state, weights = given(variant, style)
    counters = {"_bn0.num_batches_tracked": np.array(3), "normalization_1/mean": np.zeros(3)}
    found = convert(state | counters, variant, 10)
    assert found.keys() == weights.keys() == layers.shapes(variant, 10).keys()
    assert all(np.array_equal(found[name], weights[name]) and found[name].dtype == np.float32 for name in weights)


def test_a_name_of_each_library_spelled_out():
    names = {
        style: theirs("efficientnet_b2", style) for style in ("efficientnet_pytorch", "torchvision", "timm", "keras")
    }
    assert [n["blocks.4.depthwise.conv.weight"] for n in names.values()] == [
        "_blocks.4._depthwise_conv.weight",
        "features.2.2.block.1.0.weight",
        "blocks.1.2.conv_dw.weight",
        "block2c_dwconv/kernel",
    ]
    assert [n["blocks.0.project.bn.gamma"] for n in names.values()] == [
        "_blocks.0._bn2.weight",
        "features.1.0.block.2.1.weight",
        "blocks.0.0.bn2.weight",
        "block1a_project_bn/gamma",
    ]


def test_data_parallel_and_keras_2_names():
    state, weights = given()
    assert convert({f"module.{name}": value for name, value in state.items()}, B0, 10).keys() == weights.keys()
    state, weights = given(style="keras")
    old = {name.replace("dwconv/kernel", "dwconv/depthwise_kernel"): value for name, value in state.items()}
    assert convert(old, B0, 10).keys() == weights.keys()


def test_missing_unexpected_and_misshapen_tensors_are_listed():
    state, _ = given()
    for name in ("_bn0.weight", "_bn0.bias", "_bn1.weight", "_bn1.bias"):
        del state[name]
    state["_extra.weight"] = np.ones(1)
    state["_conv_head.weight"] = np.ones((1280, 320, 3, 3))
    with pytest.raises(InputError) as error:
        convert(state, B0, 10)
    assert str(error.value) == (
        "not the weights of efficientnet_b0: 4 missing (_bn0.weight, _bn0.bias, _bn1.weight, ...); "
        "1 unexpected (_extra.weight); 1 misshapen (_conv_head.weight (1280, 320, 3, 3))"
    )


def test_weights_of_another_variant_are_recognised():
    state, _ = given("efficientnet_b1")
    with pytest.raises(InputError, match="these are weights of efficientnet_b1, not of efficientnet_b0"):
        convert(state, B0, 10)


def test_unknown_names_are_refused_with_some_of_them():
    with pytest.raises(InputError, match="names of no library known here .*: conv1.weight, fc.bias"):
        convert({"conv1.weight": np.ones(1), "fc.bias": np.ones(1)}, B0, 10)


def test_values_that_are_not_finite_are_refused():
    state, _ = given()
    state["_fc.bias"] = np.full(10, np.nan, np.float32)
    with pytest.raises(InputError, match="not finite in _fc.bias"):
        convert(state, B0, 10)


def test_a_head_of_another_size_is_refused():
    state, _ = given()
    with pytest.raises(InputError, match="the head has 10 classes, expected 1000"):
        convert(state, B0, 1000)
