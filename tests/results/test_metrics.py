"""Metrics against hand calculation and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss, top_k_accuracy_score

from effnet.results import metrics


def test_summary_equals_scikit_learn():
    random = np.random.default_rng(0)
    logits, labels = random.standard_normal((200, 12)).astype(np.float32), random.integers(0, 12, 200)
    found = metrics.summarize(metrics.results(logits, labels))
    exact = np.exp(logits.astype(np.float64))
    assert list(found) == ["top1", "top5", "loss", "images"]
    assert found["top1"] == top_k_accuracy_score(labels, logits, k=1)
    assert found["top5"] == top_k_accuracy_score(labels, logits, k=5)
    loss = log_loss(labels, exact / exact.sum(1, keepdims=True), labels=range(12))
    assert np.mean(metrics.results(logits, labels).loss) == pytest.approx(loss, rel=1e-12)
    assert found["loss"] == float(f"{loss:.5g}")
    assert found["images"] == 200


def test_a_loss_keeps_the_digits_that_processors_agree_on():
    with_avx512, without = 2223.869214, 2223.861133  # of the demo's first epoch, the same weights
    assert metrics.rounded_loss(np.array([with_avx512])) == metrics.rounded_loss(np.array([without])) == 2223.9
    assert metrics.rounded_loss(np.array([0.00012345678])) == 0.000123


def test_smoothed_loss_by_hand():
    """0.9 on the true class and 0.05 on each of two others; without smoothing it is the plain loss."""
    probabilities, labels = [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]], [0, 2]
    each = [
        -0.9 * math.log(0.7) - 0.05 * math.log(0.2) - 0.05 * math.log(0.1),  # 0.51661
        -0.9 * math.log(0.2) - 0.05 * math.log(0.5) - 0.05 * math.log(0.3),  # 1.54335
    ]
    logits = np.log(probabilities) + [[5.0], [-3.0]]  # which no softmax sees
    assert metrics.smoothed_loss(logits, labels, 0.1) == float(f"{sum(each) / 2:.5g}") == 1.03
    plain = metrics.summarize(metrics.results(logits, labels))["loss"]
    assert metrics.smoothed_loss(logits, labels, 0.0) == plain


def test_figures_have_six_digits():
    """So that a last digit of a logit, which is a processor's own, changes no file."""
    logits = np.random.default_rng(1).standard_normal((7, 3))
    labels = [0, 1, 2] * 2 + [0]
    found = metrics.summarize(metrics.results(logits, labels))
    assert all(value == round(value, 6) for value in found.values())
    assert metrics.summarize(metrics.results(logits * (1 + 1e-9), labels)) == found
    thirds = metrics.summarize(metrics.results(np.eye(3), [0, 0, 0]))
    assert (thirds["top1"], thirds["top5"]) == (0.333333, 1)


@pytest.mark.parametrize("right, images", [(8, 10), (0, 50), (50, 50), (351, 359)])
def test_wilson_by_hand(right, images):
    """Wilson 1927: (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n); of 8 of 10, the known ends."""
    logits = np.tile([0.0, 1.0], (images, 1))
    found = metrics.summarize(metrics.results(logits, [1] * right + [0] * (images - right)))
    low, high = metrics.interval(found)
    p, z = right / images, 1.959963984540054
    middle, half = p + z * z / (2 * images), z * math.sqrt(p * (1 - p) / images + (z / (2 * images)) ** 2)
    expected = [(middle + sign * half) / (1 + z * z / images) for sign in (-1, 1)]
    assert [low, high] == pytest.approx(expected, abs=1e-12)
    assert 0 <= low <= found["top1"] <= high <= 1
    if (right, images) == (8, 10):
        assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


def test_the_interval_is_of_the_hits_not_of_the_rounded_share():
    """A share of six digits still tells the hits of a million pictures; ImageNet has 50,000."""
    for right, images in ((1, 3), (38_123, 50_000), (333_333, 999_999)):
        exact = metrics.interval({"top1": right / images, "images": images})
        assert metrics.interval({"top1": round(right / images, 6), "images": images}) == exact


def test_ties_and_few_classes():
    found = metrics.results(np.zeros((2, 3)), [0, 2])
    assert found.place.tolist() == [0, 2] and found.top.shape == (2, 3)
    assert found.confidence == pytest.approx(1 / 3)


def test_huge_logits_do_not_overflow():
    assert np.isfinite(metrics.results(np.array([[1e5, -1e5]]), [1]).loss).all()


def test_per_class_table():
    logits = np.eye(3)[[0, 1, 1, 2]]
    rows = metrics.per_class(metrics.results(logits, [0, 1, 0, 0]), [0, 1, 0, 0], ["a", "b", "c"])
    assert rows[0] == {"class": "a", "images": 3, "top1": 0.3333, "most_often_taken_for": "b"}
    assert rows[2] == {"class": "c", "images": 0, "top1": "", "most_often_taken_for": ""}


def test_calibration_by_hand():
    logits = np.log(np.array([[0.95, 0.05], [0.92, 0.08], [0.55, 0.45]]))
    rows = metrics.calibration(metrics.results(logits, [0, 1, 0]))
    assert rows == [
        {"images": 1, "confidence": 0.55, "accuracy": 1.0},
        {"images": 2, "confidence": 0.935, "accuracy": 0.5},
    ]
