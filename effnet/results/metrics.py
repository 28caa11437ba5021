"""Exact metrics from per-image results. Every runtime's evaluation uses it; no MindSpore."""

from collections import namedtuple

import numpy as np
from scipy.special import log_softmax

from effnet.files import write_csv

# per image: loss (n,) float64; place (n,) int64 of the true class among the logits, 0 is top-1; top (n, k<=5) int64
# classes, best first; confidence (n,) float64, the softmax probability of top[:, 0]
Results = namedtuple("Results", "loss place top confidence")
DIGITS = 6  # after the point
LOSS_DIGITS = 5  # significant ones: without AVX-512 a loss of 2223.869 was 2223.861, from the same weights


def results(logits, labels):
    """Per-image `Results` from logits (n, classes), any float type, and labels (n,).

    Ties go to the lower class index.
    """
    logits = np.asarray(logits, np.float64)
    order = np.argsort(-logits, axis=1, kind="stable")
    log_odds = log_softmax(logits, axis=1)
    rows = np.arange(len(logits))
    place = (order == np.asarray(labels)[:, None]).argmax(axis=1)
    return Results(-log_odds[rows, labels], place, order[:, :5], np.exp(log_odds[rows, order[:, 0]]))


def summarize(results):
    """The figures every metrics file holds: top1, top5 (fractions of 1), loss (mean, without label smoothing), images.

    Rounded, shares to six digits after the point and the loss to five in all: beyond them two processors may differ.
    """
    images = len(results.loss)
    return {
        "top1": round(int((results.place == 0).sum()) / images, DIGITS),
        "top5": round(int((results.place < 5).sum()) / images, DIGITS),
        "loss": rounded_loss(results.loss),
        "images": images,
    }


def rounded_loss(losses):
    """The mean of pictures' losses (n,) as it is recorded."""
    return round(float(f"{np.mean(losses):.{LOSS_DIGITS}g}"), DIGITS)


def smoothed_loss(logits, labels, factor):
    """Mean cross entropy of logits (n, classes) as training with label smoothing counts it, rounded as the plain one.

    The target has 1 - factor on the true class and factor / (classes - 1) on each other, as in the original's
    CrossEntropySmooth, whose published loss is this (effnet/training/loss.py is the same in training).
    """
    log_odds = log_softmax(np.asarray(logits, np.float64), axis=1)
    true = log_odds[np.arange(len(log_odds)), labels]
    others = (log_odds.sum(axis=1) - true) / (log_odds.shape[1] - 1)
    return rounded_loss(-(1 - factor) * true - factor * others)


def interval(summary):
    """Wilson's 95% interval (low, high) of a summary's top1."""
    from scipy.stats import binomtest  # half a second to import, and stages do without

    hits = round(summary["top1"] * summary["images"])
    found = binomtest(hits, summary["images"]).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def per_class(results, labels, classes):
    """Rows of the per-class table: class, images, top1, most frequent wrong answer."""
    rows = []
    predicted = results.top[:, 0]
    for index, name in enumerate(classes):
        mine = np.flatnonzero(np.asarray(labels) == index)
        wrong = predicted[mine][predicted[mine] != index]
        confused = classes[np.bincount(wrong).argmax()] if len(wrong) else ""
        top1 = round(float((predicted[mine] == index).mean()), 4) if len(mine) else ""
        rows.append({"class": name, "images": len(mine), "top1": top1, "most_often_taken_for": confused})
    return rows


def calibration(results, bins=10):
    """Rows of the reliability diagram: of the images in each tenth of confidence, how many, their mean confidence and
    their accuracy.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599. Tenths without images are left out.
    """
    tenth = np.minimum((results.confidence * bins).astype(int), bins - 1)
    right = results.place == 0
    rows = []
    for number in np.unique(tenth).tolist():
        mine = tenth == number
        confidence, accuracy = results.confidence[mine].mean(), right[mine].mean()
        rows.append(
            {
                "images": int(mine.sum()),
                "confidence": round(float(confidence), 4),
                "accuracy": round(float(accuracy), 4),
            }
        )
    return rows


def write_tables(folder, results, dataset):
    """Write per_image.csv (name, actual, predicted, confidence, loss), per_class.csv and calibration.csv into
    `folder`.
    """
    names = dataset.classes
    images = [
        {
            "name": name,
            "actual": names[label],
            "predicted": names[top],
            "confidence": round(c, 4),
            "loss": round(loss, 4),
        }
        for name, label, top, c, loss in zip(
            dataset.names,
            dataset.labels.tolist(),
            results.top[:, 0].tolist(),
            results.confidence.tolist(),
            results.loss.tolist(),
            strict=True,
        )
    ]
    tables = {
        "per_image": images,
        "per_class": per_class(results, dataset.labels, names),
        "calibration": calibration(results),
    }
    for name, rows in tables.items():
        write_csv(f"{folder}/{name}.csv", rows)
