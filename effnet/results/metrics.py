"""Exact metrics from per-image results. Every runtime's evaluation uses it; no MindSpore."""

import csv
from collections import namedtuple

import numpy as np
from scipy.special import log_softmax
from scipy.stats import binomtest

from effnet.files import whole

# per image: loss (n,) float64; place (n,) int64 of the true class among the logits, 0 is top-1; top (n, k<=5) int64
# classes, best first; confidence (n,) float64, the softmax probability of top[:, 0]
Results = namedtuple("Results", "loss place top confidence")


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
    """The figures every metrics file holds: top1, top5 (fractions of 1), loss (mean, without label smoothing), images,
    and top1's 95% interval, Wilson's."""
    images = len(results.loss)
    top1 = int((results.place == 0).sum())
    interval = binomtest(top1, images).proportion_ci(method="wilson")
    return {
        "top1": top1 / images,
        "top5": int((results.place < 5).sum()) / images,
        "loss": float(np.mean(results.loss)),
        "images": images,
        "top1_low": float(interval.low),
        "top1_high": float(interval.high),
    }


def write_logits(path, logits):
    """Keep logits (n, classes) as a float32 .npy file, in the data set's order: the parity stage compares the
    runtimes' files.
    """
    with whole(path) as file:
        np.save(file, np.asarray(logits, np.float32))


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
                "confidence": round(float(confidence), 6),
                "accuracy": round(float(accuracy), 6),
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
            "confidence": round(c, 6),
            "loss": round(loss, 6),
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
        with whole(f"{folder}/{name}.csv", "w") as file:
            table = csv.DictWriter(file, rows[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
