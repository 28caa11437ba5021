"""bench/accuracy.py's side in PyTorch: the settings are the recipe's, and it trains."""

import gzip

import numpy as np
import pytest

from bench import accuracy
from effnet.network.layers import Layers
from effnet.recipe import Recipe
from effnet.training.schedule import learning_rate
from effnet.weights.convert import convert
from tests.network.test_efficientnet import assert_same, our_logits, pictures
from tests.peers.nets import _torchvision, tensors_of
from tests.sources.test_fashion import packed

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("name", accuracy.RECIPES)
def test_schedule_and_decay_are_the_recipe_s(name):
    _torchvision()
    params = Recipe.model_validate(accuracy.settings(name, "nowhere", 1))
    net, per_epoch = accuracy.network(params), 7
    rule, schedule = accuracy.optimizer(net, params, per_epoch)
    for step in range(params.train.epoch_size * per_epoch):
        schedule.step_update(step)
        assert rule.param_groups[0]["lr"] == pytest.approx(learning_rate(step, per_epoch, params.train), rel=1e-9), step
    decayed = {id(p) for p in rule.param_groups[0]["params"]}
    for key, parameter in net.named_parameters():
        assert (id(parameter) in decayed) == (".bn" not in key and not key.startswith("bn")), key


def test_both_sides_train_the_same_network():
    _torchvision()
    import torch

    tree = accuracy.settings("modern", "nowhere", 1)
    tree["model"] |= {"dropout": 0.0, "drop_connect": 0.0}
    params = Recipe.model_validate(tree)
    model, net, batch = params.model, accuracy.network(params), pictures(96)
    weights = convert(tensors_of(net), model.variant, model.class_num)
    for training in (False, True):
        with torch.no_grad():
            expected = net.train(training)(torch.from_numpy(batch)).numpy()
        ours = our_logits(model.variant, Layers(model.padding, model.bn_eps), weights, batch, training)
        assert_same(ours, expected)


def test_it_trains(tmp_path):
    """PyTorch's side, over idx files of noise."""
    random = np.random.default_rng(0)
    for name, count in (("train", 130), ("t10k", 40)):
        for kind, values in (
            ("images-idx3", random.integers(0, 256, (count, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(count) % 10).astype(np.uint8)),
        ):
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(packed(values)))
    (tmp_path / "subset").mkdir()
    tree = accuracy.settings("modern", accuracy.subset(tmp_path, tmp_path / "subset"), 1)
    tree["train"] |= {"epoch_size": 1, "warmup_epochs": 0.0}
    tree["data"]["shards"] = 1
    found = accuracy.torch(tree)
    assert len(found["epochs"]) == 1 and 0 <= found["top1"] <= 1 and 1 < found["epochs"][0]["loss"] < 5
