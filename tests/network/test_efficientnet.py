"""Our network against other libraries' logits, stored by tests/peers/make_references.py; tests/peers runs them live."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from effnet.arch.initial import initial_weights
from effnet.arch.layers import shapes
from effnet.network.efficientnet import EfficientNet, load_weights
from effnet.network.layers import Layers
from effnet.network.operators import best_layers

EPS = 1e-3  # ours
# library, variant, padding, image size: odd and even sizes pad differently
CASES = {
    "b0_same_even": ("efficientnet_pytorch", "efficientnet_b0", "same", 64),
    "b0_symmetric_even": ("torchvision", "efficientnet_b0", "symmetric", 64),
    "b0_same_odd": ("timm_tf", "efficientnet_b0", "same", 65),
    # at 64 pixels batch statistics over 16 values make both float32 results 1e-4 off a float64 one (ours 0.8e-4,
    # PyTorch 1.1e-4)
    "lite0_same_even": ("timm_tf", "efficientnet_lite0", "same", 96),
}


def pictures(size):
    return np.random.default_rng(0).standard_normal((4, 3, size, size), np.float32)


def random_weights(variant, class_num):
    """Initial weights with batch normalisation that does something: a pure function of NumPy."""
    weights, random = initial_weights(shapes(variant, class_num), seed=1), np.random.default_rng(2)
    spans = {
        "gamma": (0.8, 1.2),
        "beta": (-0.2, 0.2),
        "moving_mean": (-0.2, 0.2),
        "moving_variance": (0.5, 1.5),
        "bias": (-0.2, 0.2),
    }
    for name, value in weights.items():
        if value.ndim == 1:
            weights[name] = random.uniform(*spans[name.rsplit(".", 1)[1]], value.shape).astype(np.float32)
    return weights


def our_logits(variant, layers, weights, images, training=False):
    ms.set_context(mode=ms.GRAPH_MODE)
    net = EfficientNet(variant, len(weights["classifier.bias"]), layers)
    net.update_parameters_name()
    load_weights(net, weights)
    net.set_train(training)
    return net(ms.Tensor(images)).asnumpy()


def assert_same(ours, reference):
    """The largest difference below 1e-4, also in units of the logits' own spread."""
    difference = np.abs(ours - reference).max()
    assert difference < 1e-4 * min(1.0, reference.std()), (
        f"largest difference {difference} at a spread of {reference.std()}"
    )


@pytest.mark.parametrize("kind", [Layers, best_layers], ids=["mindspore", "best"])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", CASES)
def test_logits_are_the_other_librarys(name, training, kind):
    _, variant, padding, size = CASES[name]
    with np.load(Path(__file__).with_name("references.npz")) as references:
        reference = references[f"{name}_{'training' if training else 'evaluation'}"]
    weights = random_weights(variant, 10)
    assert_same(our_logits(variant, kind(padding), weights, pictures(size), training), reference)


@pytest.mark.parametrize("kind", [Layers, best_layers], ids=["mindspore", "best"])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_batch_normalisation_s_epsilon(kind, training):
    x = 0.01 * np.random.default_rng(3).standard_normal((4, 3, 5, 5), np.float32)
    norm, _ = kind("same", 1e-5).norm(3, None)
    norm.set_train(training)
    axes = (0, 2, 3)
    mean, variance = (x.mean(axes), x.var(axes)) if training else (np.zeros(3), np.ones(3))
    expected = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
    np.testing.assert_allclose(norm(ms.Tensor(x)).asnumpy(), expected, rtol=2e-4 if training else 1e-6, atol=1e-5)


def test_initial_weights_of_the_original():
    """MindSpore's default up to 2.0: all kernels N(0, 0.01), all else as ever."""
    names = shapes("efficientnet_b0", 10)
    normal, fan_out = (initial_weights(names, 1, kind) for kind in ("normal", "fan_out"))
    kernels = [value for value in normal.values() if value.ndim > 1]
    assert all(np.std(value) == pytest.approx(0.01, rel=0.15) and abs(np.mean(value)) < 0.002 for value in kernels)
    assert all((normal[name] == value).all() for name, value in fan_out.items() if value.ndim == 1)
