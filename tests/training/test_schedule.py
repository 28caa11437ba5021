"""Learning rates against values worked out by hand."""

import math

import pytest

from effnet.recipe import load
from effnet.training.schedule import ema_decay, learning_rate

BASE = {"epoch_size": 10, "warmup_epochs": 2.0, "lr_init": 0.0, "lr_max": 1.0, "lr_end": 0.1}


def rate(step, **values):
    train = load("recipes/smoke.yaml").train.model_copy(update=BASE | values)
    return learning_rate(step, 10, train)  # 10 steps an epoch: 100 in all, 20 of warm-up


def test_warm_up_is_linear_from_lr_init():
    assert [rate(step, lr_init=0.2, lr_decay_mode="linear") for step in (0, 5, 10, 20)] == pytest.approx(
        [0.2, 0.4, 0.6, 1.0]
    )


def test_the_frozen_epochs_come_before_all_of_it():
    frozen = [rate(step + 20, lr_decay_mode="cosine", freeze_epochs=2, epoch_size=12) for step in range(100)]
    assert frozen == [rate(step, lr_decay_mode="cosine") for step in range(100)]


@pytest.mark.parametrize(
    "mode, values",
    [
        ("linear", {20: 1.0, 60: 0.55, 99: 0.1 + 0.9 / 80}),
        ("cosine", {20: 1.0, 40: 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2, 60: 0.55}),
        ("poly", {20: 1.0, 60: 0.1 + 0.9 * 0.25}),
        ("steps", {29: 1.0, 30: 0.5, 59: 0.5, 60: 0.25, 80: 0.125}),
        ("exponential", {20: 0.5, 39: 0.5, 40: 0.25, 99: 0.1}),
    ],
)
def test_decay(mode, values):
    settings = {"lr_decay_mode": mode, "lr_decay_rate": 2.0 if mode == "poly" else 0.5, "lr_decay_epochs": 2.0}
    for step, expected in values.items():
        assert rate(step, **settings) == pytest.approx(expected), step


def test_tensorflow_s_exponential():
    """tf.train.exponential_decay(0.128, step, 2.4 epochs, 0.97, staircase=True) at epoch 350: 0.97 ** 145."""
    paper = load("recipes/paper.yaml").train
    assert learning_rate(349 * 625, 625, paper) == pytest.approx(0.128 * 0.97**145)


def test_the_original_s_first_and_last_rate():
    train = load("recipes/ascend8.yaml").train
    assert learning_rate(0, 625, train) == 1e-4
    assert learning_rate(350 * 625 - 1, 625, train) == pytest.approx(1e-5, rel=0.07)


@pytest.mark.parametrize(
    "warmup, values",
    [
        ("none", {0: 0.9999, 10: 0.9999}),
        ("tensorflow", {0: 0.1, 8: 0.5, 89990: 0.9999}),  # tf.train.ExponentialMovingAverage's num_updates
        ("timm", {0: 0.0, 7: 0.75, 999: 0.99, 999_999: 0.9999}),  # ModelEmaV3: 1 - (1 + n) ** (-2 / 3)
    ],
)
def test_warm_up_of_the_average(warmup, values):
    train = load("recipes/paper.yaml").train.model_copy(update={"ema_decay": 0.9999, "ema_warmup": warmup})
    for updates, expected in values.items():
        assert ema_decay(updates, train) == pytest.approx(expected, rel=1e-6), updates
