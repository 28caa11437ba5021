"""The family's sizes against the published ones."""

import pytest

from effnet.arch import layers
from effnet.arch.family import UNPUBLISHED, VARIANTS
from effnet.errors import InputError

# variant: parameters, FLOPs. Parameters: torchvision's `num_params` (B0-B7) and the published Lite weights' own
# tensors. FLOPs: Tan & Le 2019, table 2, and the README of tensorflow/tpu's efficientnet/lite.
PUBLISHED = {
    "efficientnet_b0": (5_288_548, 0.39e9),
    "efficientnet_b1": (7_794_184, 0.70e9),
    "efficientnet_b2": (9_109_994, 1.0e9),
    "efficientnet_b3": (12_233_232, 1.8e9),
    "efficientnet_b4": (19_341_616, 4.2e9),
    "efficientnet_b5": (30_389_784, 9.9e9),
    "efficientnet_b6": (43_040_704, 19e9),
    "efficientnet_b7": (66_347_960, 37e9),
    "efficientnet_lite0": (4_652_008, 407e6),
    "efficientnet_lite1": (5_416_680, 631e6),
    "efficientnet_lite2": (6_092_072, 899e6),
    "efficientnet_lite3": (8_197_096, 1.44e9),
    "efficientnet_lite4": (13_006_568, 2.64e9),
}

# multiply-accumulates in units of 10^9 as torchvision publishes them (`_ops`): variant: (image size, count)
TORCHVISION_OPS = {"b0": (224, 0.386), "b1": (240, 0.687), "b2": (288, 1.088), "b3": (300, 1.827),
                   "b4": (380, 4.394), "b5": (456, 10.266), "b6": (528, 19.068), "b7": (600, 37.746)}  # fmt: skip


def test_parameters_and_macs_of_the_whole_family_are_the_published_ones():
    assert set(PUBLISHED) == set(VARIANTS) - UNPUBLISHED
    for variant, (parameters, flops) in PUBLISHED.items():
        counted, macs = layers.totals(variant)
        assert counted == parameters, variant
        if VARIANTS[variant].lite:
            # that table counts batch normalisation and activation too, about three operations for each value out of a
            # convolution
            macs += 3 * sum(row.output[0] * row.output[1] ** 2 for row in layers.layers(variant) if row.kind != "dense")
            assert macs == pytest.approx(flops, rel=0.005), variant
        else:  # the paper's count is of another tool and printed to two digits
            assert macs == pytest.approx(flops, rel=0.05), variant


@pytest.mark.parametrize("variant", TORCHVISION_OPS)
def test_macs_are_torchvisions_to_the_last_printed_digit(variant):
    size, ops = TORCHVISION_OPS[variant]
    assert round(layers.totals(f"efficientnet_{variant}", size)[1] / 1e9, 3) == ops


def test_the_head_counts_its_own_classes():
    assert layers.totals("efficientnet_b2", 260, 1000)[0] - layers.totals("efficientnet_b2", 260, 10)[0] == 990 * (
        1408 + 1
    )


@pytest.mark.parametrize("variant", ["efficientnet_b2", "efficientnet_lite1"])
def test_shapes_are_the_networks(variant):
    from effnet.network.efficientnet import EfficientNet

    net = EfficientNet(variant, 7)
    net.update_parameters_name()
    assert {p.name: tuple(p.shape) for p in net.get_parameters()} == layers.shapes(variant, 7)


def test_table_names_every_layer_and_the_totals():
    text = layers.table("efficientnet_b0")
    assert "blocks.15.se.reduce" in text and text.endswith("5,288,548 parameters, 385,814,752 MACs")
    assert len(text.splitlines()) == 1 + len(layers.layers("efficientnet_b0")) + 1


def test_unknown_variant_is_refused_with_the_names():
    assert layers.full_name("lite0") == "efficientnet_lite0"
    with pytest.raises(InputError, match="'b9' is not a variant; choose one of efficientnet_b0"):
        layers.full_name("b9")
