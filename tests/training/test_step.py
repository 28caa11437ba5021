"""Twenty training steps against an independent float64 PyTorch run: its stored figures here, the live run under
`peers`.
"""

import os

import mindspore as ms
import numpy as np
import pytest

from effnet.arch.family import keep_rates, plan
from effnet.data.loader import Batch
from effnet.network import device, efficientnet
from effnet.network.ranks import Ranks
from effnet.recipe import load
from effnet.training import step as steps
from tests.peers import reference

device.start(os.environ.get("EFFNET_TEST_DEVICE", "CPU"))  # bench/gpu.py runs these on a card


def changed(recipe, section, **values):
    return recipe.model_copy(update={section: getattr(recipe, section).model_copy(update=values)})


def run(case, variant="efficientnet_toy", scale=1.0, amp_level="O0", target="CPU"):
    """Our steps over the case's batches: (losses, weights). `target` as the recipe says it, wherever this runs."""
    recipe = load("recipes/smoke.yaml")
    recipe = changed(recipe, "model", variant=variant, dropout=0.0, drop_connect=0.0)
    keys = (
        "opt",
        "opt_eps",
        "rms_decay",
        "momentum",
        "weight_decay",
        "decay_biases",
        "clip_norm",
        "accumulate",
        "ema_decay",
    )
    recipe = changed(recipe, "train", device_target=target, **{key: getattr(case, key) for key in keys})
    net = efficientnet.create(recipe.model, seed=3, amp_level=amp_level)
    step, state = steps.create(net, net.trainable_params(), recipe, train_bn=case.train_bn)
    losses = []
    for number, (batch, rate) in enumerate(zip(reference.batches(case), reference.rates(case), strict=True)):
        decay = min(case.ema_decay, (1 + number) / (10 + number))
        loss, finite = step(Batch(*batch, np.arange(len(batch[1]))), (None, None), scale, rate, decay)
        assert finite
        losses.append(steps.mean_loss(loss))
    prefix = "ema." if case.ema_decay else ""
    names = {p.name for p in net.get_parameters()}
    return np.array(losses), {
        p.name.removeprefix(prefix): p.asnumpy()
        for p in state
        if p.name.removeprefix(prefix) in names and p.name.startswith(prefix)
    }


@pytest.mark.parametrize("name, target", [*((name, "CPU") for name in reference.CASES), ("rmsprop", "Ascend")])
def test_twenty_steps_equal_the_reference(name, target):
    """Accelerators have RMSProp in one operator."""
    losses, weights = run(reference.CASES[name], target=target)
    stored = np.load(reference.STORED)
    assert np.abs(losses / stored[f"{name}.losses"] - 1).max() < 1e-4
    assert np.abs(reference.digest(weights) - stored[f"{name}.weights"]).max() < 1e-3


def test_loss_scale_cancels_out():
    plain, scaled = run(reference.CASES["sgd"]), run(reference.CASES["sgd"], scale=1024.0)
    assert np.abs(plain[0] - scaled[0]).max() < 1e-5


def test_masks_keep_the_mean_and_are_each_batchs_own():
    recipe = changed(load("recipes/smoke.yaml"), "model", drop_connect=0.5, dropout=0.25)
    recipe, sizes = changed(recipe, "data", batch_size=4000), plan("efficientnet_toy")
    path, feature = steps.keep_masks(recipe, epoch=1, number=2)
    rates = keep_rates(sizes.blocks, 0.5)
    assert rates[0] == 1 and np.isclose(rates[-1], 1 - 0.5 * 6 / 7)
    assert path.shape == (4000, len(sizes.blocks)) and feature.shape == (4000, sizes.head)
    assert np.allclose(path.mean(0), 1, atol=0.08) and np.allclose((path > 0).mean(0), rates, atol=0.04)
    assert np.isclose((feature > 0).mean(), 0.75, atol=0.01) and np.isclose(feature.mean(), 1, atol=0.01)
    again, other = steps.keep_masks(recipe, epoch=1, number=2), steps.keep_masks(recipe, epoch=1, number=3)
    assert (path == again[0]).all() and (path != other[0]).any()


def test_masks_are_the_same_on_any_number_of_devices():
    recipe = changed(load("recipes/smoke.yaml"), "model", drop_connect=0.5, dropout=0.25)
    whole = steps.keep_masks(recipe, 1, 2)
    for count in (2, 4):
        shares = [steps.keep_masks(recipe, 1, 2, Ranks(rank, count)) for rank in range(count)]
        for mask, parts in zip(whole, zip(*shares, strict=True), strict=True):
            assert np.array_equal(np.concatenate(parts), mask)


def test_drop_connect_acts():
    blocks, net = plan("efficientnet_toy").blocks, efficientnet.create(load("recipes/smoke.yaml").model, seed=1)
    x = ms.Tensor(np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32))
    net.set_train(True)
    all_kept = net(x, ms.Tensor(np.ones((4, 7), np.float32)), None).asnumpy()
    none_kept = net(x, ms.Tensor(np.zeros((4, 7), np.float32)), None).asnumpy()
    assert np.allclose(all_kept, net(x).asnumpy(), atol=1e-6)
    assert [b for b in blocks if b.stride == 1 and b.channels_in == b.channels_out]
    assert not np.allclose(all_kept, none_kept)


@pytest.mark.parametrize("level", [pytest.param("O2", marks=pytest.mark.soak), "O3"])
def test_mixed_precision_is_near_float32_and_is_not_it(level):
    case = reference.CASES["rmsprop"]
    plain, (mixed, weights) = run(case)[0], run(case, scale=1024.0, amp_level=level)
    assert 1e-5 < np.abs(mixed[:5] / plain[:5] - 1).max() < 1e-2
    assert all(array.dtype == np.float32 for array in weights.values()), "master weights stay float32"


def test_o2_keeps_batch_normalisation_in_float32():
    net = efficientnet.create(load("recipes/smoke.yaml").model, amp_level="O2")
    for _, cell in net.cells_and_names():
        if isinstance(cell, ms.nn.BatchNorm2d):
            assert cell.fp32 and not cell.fp16
        elif isinstance(cell, (ms.nn.Conv2d, ms.nn.Dense)):
            assert cell.fp16 and not cell.fp32


def test_an_overflow_changes_nothing_under_a_dynamic_scale():
    recipe = changed(changed(load("recipes/smoke.yaml"), "model", dropout=0.0), "train", loss_scale=0.0, ema_decay=0.9)
    net = efficientnet.create(recipe.model, seed=3)
    step, state = steps.create(net, net.trainable_params(), recipe)
    batch = Batch(*next(iter(reference.batches(reference.Case()))), np.arange(reference.IMAGES))
    learned = [p for p in state if not p.name.endswith(("moving_mean", "moving_variance"))]
    before = [p.asnumpy().copy() for p in learned]
    _, finite = step(batch, (None, None), 3e38, 1e-3, 0.9)
    assert not bool(finite) and all(np.array_equal(p.asnumpy(), old) for p, old in zip(learned, before, strict=True))
    _, finite = step(batch, (None, None), 1024.0, 1e-3, 0.9)
    assert bool(finite) and any(not np.array_equal(p.asnumpy(), old) for p, old in zip(learned, before, strict=True))


@pytest.mark.peers
@pytest.mark.parametrize("name", reference.CASES)
def test_stored_figures_are_what_torch_computes(name):
    losses, weights = reference.train(reference.CASES[name], *reference.toy(), bn_momentum=0.9, smoothing=0.1)
    stored = np.load(reference.STORED)
    assert np.abs(losses / stored[f"{name}.losses"] - 1).max() < 1e-9
    assert np.abs(reference.digest(weights) - stored[f"{name}.weights"]).max() < 1e-9
