"""Exact metrics from per-image results. NumPy only: every runtime's evaluation uses it."""

import csv
import math
from collections import namedtuple

import numpy as np

from effnet.files import whole

# per image: loss (n,) float64; place (n,) int64 of the true class among the logits, 0 is top-1; top (n, k<=5) int64 classes, best first;
# confidence (n,) float64, the softmax probability of top[:, 0]
Results = namedtuple("Results", "loss place top confidence")


def results(logits, labels):
    """Per-image `Results` from logits (n, classes), any float type, and labels (n,). Ties go to the lower class index."""
    logits = np.asarray(logits, np.float64)
    order = np.argsort(-logits, axis=1, kind="stable")
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(logits))
    place = (order == np.asarray(labels)[:, None]).argmax(axis=1)
    return Results(-log_softmax[rows, labels], place, order[:, :5], np.exp(log_softmax[rows, order[:, 0]]))


def summarize(results):
    """The figures every metrics file holds: top1, top5 (fractions of 1), loss (mean, without label smoothing), images, 95% interval."""
    images = len(results.loss)
    top1 = int((results.place == 0).sum())
    low, high = wilson(top1, images)
    return {
        "top1": top1 / images,
        "top5": int((results.place < 5).sum()) / images,
        "loss": float(np.mean(results.loss)),
        "images": images,
        "top1_low": low,
        "top1_high": high,
    }


def write_logits(path, logits):
    """Keep logits (n, classes) as a float32 .npy file, in the data set's order: the parity stage compares the runtimes' files."""
    with whole(path) as file:
        np.save(file, np.asarray(logits, np.float32))


def wilson(hits, trials, z=1.959963984540054):
    """Wilson's score interval for a share: (low, high). Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953."""
    share = hits / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return (centre - spread) / scale if hits else 0.0, (centre + spread) / scale if hits < trials else 1.0


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
    """Rows of the reliability diagram: of the images in each tenth of confidence, how many, their mean confidence and their accuracy.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599. Tenths without images are left out.
    """
    tenth = np.minimum((results.confidence * bins).astype(int), bins - 1)
    right = results.place == 0
    rows = []
    for number in np.unique(tenth).tolist():
        mine = tenth == number
        confidence, accuracy = results.confidence[mine].mean(), right[mine].mean()
        rows.append({"images": int(mine.sum()), "confidence": round(float(confidence), 6), "accuracy": round(float(accuracy), 6)})
    return rows


def write_tables(folder, results, dataset):
    """Write per_image.csv (name, actual, predicted, confidence, loss), per_class.csv and calibration.csv into `folder`."""
    names = dataset.classes
    images = [
        {"name": name, "actual": names[label], "predicted": names[top], "confidence": round(c, 6), "loss": round(loss, 6)}
        for name, label, top, c, loss in zip(
            dataset.names, dataset.labels.tolist(), results.top[:, 0].tolist(), results.confidence.tolist(), results.loss.tolist()
        )
    ]
    tables = {"per_image": images, "per_class": per_class(results, dataset.labels, names), "calibration": calibration(results)}
    for name, rows in tables.items():
        with whole(f"{folder}/{name}.csv", "w") as file:
            table = csv.DictWriter(file, rows[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
