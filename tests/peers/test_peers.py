"""Live against other people's implementations and the real pretrained weights: `make test-peers`, or pytest -m peers
tests/peers.

Needs torch, efficientnet_pytorch, torchvision, timm, keras; what is absent is skipped.
"""

import os

import numpy as np
import pytest

from effnet.network.layers import Layers
from effnet.weights import tensors
from effnet.weights.convert import convert
from tests.network.test_efficientnet import EPS, assert_same, our_logits, pictures
from tests.peers.nets import bn_eps, keras_net, tensors_of, torch_net

pytestmark = pytest.mark.peers

TORCH = [
    ("efficientnet_pytorch", "efficientnet_b0", 65),
    ("efficientnet_pytorch", "efficientnet_b2", 96),
    ("efficientnet_pytorch", "efficientnet_b5", 96),
    ("torchvision", "efficientnet_b0", 64),
    ("torchvision", "efficientnet_b2", 96),
    ("torchvision", "efficientnet_b5", 96),
    ("timm", "efficientnet_b2", 65),
    ("timm_tf", "efficientnet_b2", 64),
    ("timm_tf", "efficientnet_lite0", 65),
]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("library, variant, size", TORCH, ids=["-".join(map(str, case[:2])) for case in TORCH])
def test_logits_with_weights_carried_over(library, variant, size, training):
    pytest.importorskip("torch")
    # evaluation keeps the library's own epsilon
    eps = EPS if training else bn_eps(library, variant)
    net, forward = torch_net(library, variant, size, eps)
    converted = convert(tensors_of(net), variant, 1000)
    padding = "symmetric" if library in ("torchvision", "timm") else "same"
    assert_same(
        our_logits(variant, Layers(padding, eps), converted, pictures(size), training),
        forward(pictures(size), training),
    )


NAMED = [
    (library, f"efficientnet_b{n}") for library in ("efficientnet_pytorch", "torchvision", "timm") for n in range(8)
]


@pytest.mark.parametrize("library, variant", NAMED + [("timm_tf", f"efficientnet_lite{n}") for n in range(5)])
def test_every_name_of_every_variant_is_known(library, variant):
    pytest.importorskip("torch")
    convert(tensors_of(torch_net(library, variant, 64)[0]), variant, 1000)


@pytest.mark.parametrize("variant", ["efficientnet_b0", "efficientnet_b2"])
def test_keras_h5(variant, tmp_path):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("keras")
    forward = keras_net(variant, 64, tmp_path / "keras.h5")
    converted = convert(tensors.read(tmp_path / "keras.h5"), variant, 1000)
    for training in (False, True):
        reference = forward(pictures(64), training)
        assert_same(our_logits(variant, Layers("same"), converted, pictures(64), training), reference)


def test_padding_decides():
    """The two paddings differ where the stride is 2 and the size even: what the tests above would miss if it did not
    matter.
    """
    pytest.importorskip("torch")
    net, _ = torch_net("timm_tf", "efficientnet_b0", 64)
    converted = convert(tensors_of(net), "efficientnet_b0", 1000)
    same, symmetric = (
        our_logits("efficientnet_b0", Layers(padding), converted, pictures(64)) for padding in ("same", "symmetric")
    )
    assert np.abs(same - symmetric).max() > 1e-2
