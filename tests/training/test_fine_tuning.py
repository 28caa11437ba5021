"""What fine-tuning adds to training: frozen statistics, the trunk's own rate, a part held out, the best epoch's model.
Stopping anywhere changes no byte.
"""

import numpy as np
import pytest

from effnet.data.loader import Batch
from effnet.errors import InputError
from effnet.network import checkpoint, device, efficientnet
from effnet.recipe import load
from effnet.runs.run import Run
from effnet.shards.dataset import Dataset
from effnet.sources.build import build_shards
from effnet.training import frozen, holdout
from effnet.training import step as steps
from effnet.training.loop import train
from effnet.training.place import Place
from tests.peers import reference
from tests.training.test_step import changed

device.start("CPU")
IDENTITY = {"recipe": {"train.epoch_size": 3}, "data": "", "start": "", "code": {}, "versions": {}}


def batch():
    return Batch(*next(iter(reference.batches(reference.Case()))), np.arange(reference.IMAGES))


def after_a_step(**values):
    """{name: array} before and after a step of the toy at rate 0.1."""
    recipe = changed(load("recipes/smoke.yaml"), "model", dropout=0.0, drop_connect=0.0)
    recipe = changed(recipe, "train", opt="sgd", momentum=0.0, weight_decay=0.0, **values)
    net = efficientnet.create(recipe.model, seed=3)
    step, state = steps.create(net, net.trainable_params(), recipe, train_bn=not recipe.train.freeze_bn)
    before = checkpoint.arrays_of(net.get_parameters())
    before = {name: array.copy() for name, array in before.items()}
    step(batch(), (None, None), 1.0, 0.1, 0.0)
    return before, checkpoint.arrays_of(net.get_parameters())


def test_frozen_statistics_stay_and_all_else_learns():
    before, after = after_a_step(freeze_bn=True)
    statistics = [name for name in before if name.endswith(("moving_mean", "moving_variance"))]
    assert statistics and all(np.array_equal(before[name], after[name]) for name in statistics)
    assert sum(not np.array_equal(before[name], after[name]) for name in before.keys() - set(statistics)) > 60
    before, after = after_a_step(freeze_bn=False)
    assert all(not np.array_equal(before[name], after[name]) for name in statistics)


def test_the_trunk_has_its_share_of_the_rate():
    (before, whole), (_, less) = after_a_step(lr_trunk=1.0), after_a_step(lr_trunk=0.25)
    for name in ("classifier.weight", "classifier.bias"):
        assert np.array_equal(whole[name], less[name])
    for name in ("stem.conv.weight", "head.bn.gamma", "blocks.3.project.conv.weight"):
        assert np.allclose(less[name] - before[name], 0.25 * (whole[name] - before[name]), rtol=1e-3, atol=1e-7), name


def test_adamw_with_decay_and_a_share_is_the_paper_s():
    """Ten steps of both groups of parameters against Algorithm 2 of Loshchilov & Hutter in float64."""
    import mindspore as ms

    from effnet.training import optimizers

    random = np.random.default_rng(0)
    values = {"opt": "adamw", "opt_eps": 1e-8, "rms_decay": 0.999, "momentum": 0.9, "weight_decay": 0.01}
    settings = changed(load("recipes/smoke.yaml"), "train", lr_trunk=0.3, **values).train
    start = [random.normal(size=(4, 3)).astype(np.float32) for _ in range(2)]
    names = ("stem.conv.weight", "classifier.weight")
    parameters = [ms.Parameter(ms.Tensor(x), name=name) for x, name in zip(start, names, strict=True)]
    optimizer = optimizers.create(parameters, settings)
    expected, first, second = [x.astype(np.float64) for x in start], [0, 0], [0, 0]
    for t in range(1, 11):
        grads = [random.normal(size=(4, 3)).astype(np.float32) for _ in range(2)]
        optimizer(tuple(ms.Tensor(g) for g in grads), ms.Tensor(1.0, ms.float32), ms.Tensor(1e-2, ms.float32))
        for i, rate in enumerate((0.3e-2, 1e-2)):
            g = grads[i].astype(np.float64)
            first[i], second[i] = 0.9 * first[i] + 0.1 * g, 0.999 * second[i] + 0.001 * g * g
            expected[i] = expected[i] * (1 - rate * 0.01)
            expected[i] -= rate * (first[i] / (1 - 0.9**t)) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-8)
    for parameter, value in zip(parameters, expected, strict=True):
        assert np.abs(parameter.asnumpy() - value).max() < 1e-5


class Labels:
    """As much of a data set as a split asks for."""

    def __init__(self, labels):
        self.labels, self.names = np.array(labels, np.int32), [f"{i}" for i in range(len(labels))]

    def __len__(self):
        return len(self.labels)

    def read(self, i):
        return i


def test_the_part_held_out_is_of_each_class_alike_and_the_seed_s():
    whole = Labels([i % 3 for i in range(300)] + [3])
    learnt, held = holdout.split(whole, 0.1, seed=1)
    assert np.bincount(held.labels, minlength=4).tolist() == [10, 10, 10, 0]  # the only one of its kind is learnt
    assert sorted([*learnt.places, *held.places]) == list(range(301))
    assert [held.read(i) for i in range(len(held))] == held.places.tolist() and held.names[0] == str(held.places[0])
    assert (holdout.split(whole, 0.1, seed=1)[1].places == held.places).all()
    assert (holdout.split(whole, 0.1, seed=2)[1].places != held.places).any()
    assert holdout.split(whole, 0.0, seed=1) == (whole, None)
    with pytest.raises(InputError, match="train.holdout: no class has two"):
        holdout.split(Labels([0, 1, 2]), 0.1, seed=1)


@pytest.mark.parametrize("count, strongest", [(20, True), (20_000, False)])
def test_the_penalty_is_the_strongest_that_the_part_held_out_cannot_tell_from_the_best(count, strongest):
    random = np.random.default_rng(0)
    labels, held = random.integers(0, 3, 120), random.integers(0, 3, count)
    seen, unseen = (np.eye(40)[y] * 2 + random.normal(size=(len(y), 40)) for y in (labels, held))
    said = []
    head = frozen.best_head((seen, labels), (unseen, held), 3, said.append, lambda: False)
    losses = {
        c: frozen.cross_entropies(unseen, held, *frozen.softmax_regression(seen, labels, 3, c)).mean()
        for c in frozen.STRENGTHS
    }
    best = min(losses, key=losses.get)
    assert frozen.STRENGTHS[0] < best < frozen.STRENGTHS[-1], "the case decides nothing"
    chosen = float(said[0].split("C = ")[1].split()[0])
    assert chosen < best if strongest else chosen == best
    assert np.array_equal(head[0], frozen.softmax_regression(seen, labels, 3, chosen)[0])


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "prepared"
    build_shards(load("recipes/smoke.yaml").data, folder, 0)
    return Dataset(folder, "train")


class Trained:
    """A training of the toy on the digits with one frozen epoch and two others, a tenth held out."""

    def __init__(self, folder, digits, asked=10**9, **values):
        values = {"epoch_size": 3, "freeze_epochs": 1, "freeze_bn": True, "holdout": 0.1} | values
        recipe, self.said, self.asked = changed(load("recipes/smoke.yaml"), "train", **values), [], []
        self.sets, self.all = [], digits
        run = Run(folder, IDENTITY, say=self.said.append)

        def stop():
            self.asked.append(True)
            return len(self.asked) > asked

        def validate(weights, dataset=None):
            self.sets.append(dataset)
            if dataset is None:
                return {"loss": 1.0, "top1": 0.5, "top5": 0.9}
            return {"loss": 1.0, "top1": self.top1(len(self.sets), weights), "top5": 0.9}

        self.done = train(recipe, digits, run, validate, stop=stop)

    def top1(self, number, weights):
        return float(np.abs(weights["classifier.bias"]).sum()) % 1


class Worsening(Trained):
    def top1(self, number, weights):
        if number == 2:
            self.frozen = weights
        return 1 / number


def test_a_frozen_start_that_training_makes_worse_is_the_model(tmp_path, digits):
    done = Worsening(tmp_path, digits)
    weights, place = done.done
    assert place.epoch == 3 and place.chosen == {"epoch": 1, "top1": 0.5, "first": 0.5, "best": 0.5}
    assert all(np.array_equal(weights[name], array) for name, array in done.frozen.items())
    assert (
        "the model is that of epoch 1: of 143 training pictures held out it gets 50.00% right, the first"
        in done.said[-1]
    )


@pytest.mark.parametrize(
    "top1s, epoch",
    [
        ((0.90, 1.0, 0.99, 0.98), 3),  # 1 - 0.013 of 100
        ((0.72, 0.76, 0.75, 0.81, 0.82, 0.82), 6),
        ((0.72, 0.76, 0.75, 0.84, 0.81, 0.81), 6),  # 0.84 - 0.037 of 100: as good
        ((0.72, 0.76, 0.75, 0.84, 0.80, 0.80), 4),
        ((0.72, 0.71, 0.71, 0.71, 0.71, 0.71), 1),  # within a standard error, but below the frozen start
        ((0.72, 0.72), 2),
    ],
)
def test_the_latest_epoch_that_is_as_good_as_the_best_is_the_model(top1s, epoch):
    place = Place()
    for number, top1 in enumerate(top1s, 1):
        place.epoch = number
        place.choose(top1, 100)
    assert (place.chosen["epoch"], place.chosen["top1"]) == (epoch, top1s[epoch - 1])


def test_what_is_held_out_is_of_the_training_set_and_not_learnt(tmp_path, digits):
    held = Trained(tmp_path, digits).sets[1]
    assert held.whole is digits and len(held) == 143


@pytest.mark.parametrize(  # in the frozen epoch twice, in each of the others
    "asked", [pytest.param(2, marks=pytest.mark.soak), 8, 30, pytest.param(50, marks=pytest.mark.soak)]
)
def test_a_run_stopped_anywhere_ends_with_the_same_bytes(tmp_path, digits, asked):
    weights, place = Trained(tmp_path / "whole", digits).done
    first = Trained(tmp_path / "parts", digits, asked=asked)
    assert first.done is None
    frozen_part = asked < 20
    assert (tmp_path / "parts/frozen.ckpt").exists() == frozen_part
    second = Trained(tmp_path / "parts", digits)
    went_on = "the frozen epochs go on after" if frozen_part else "resumed at epoch"
    assert any(went_on in text for text in second.said), second.said
    assert second.done[1].chosen == place.chosen and not (tmp_path / "parts/frozen.ckpt").exists()
    assert all(np.array_equal(second.done[0][name], array) for name, array in weights.items())


def test_features_of_another_run_are_not_taken(tmp_path):
    arrays = {"features": np.zeros((4, 3), np.float32), "labels": np.zeros(4, np.int32)}
    Run(tmp_path, IDENTITY).keep_features(arrays)
    assert (Run(tmp_path, IDENTITY).features()["features"] == 0).all()
    assert Run(tmp_path, IDENTITY | {"data": "other"}).features() is None
    assert Run(tmp_path, IDENTITY, wish="anew").features() is None
