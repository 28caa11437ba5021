"""What tools/evaluate.py found, as plain values: figures, tables, the published accuracy beside them."""

import numpy as np

from effnet.files import sha256
from effnet.results import classes, clock, metrics, mistakes
from effnet.results.provenance import versions
from tools import runtimes
from tools.published import verdict

AT_ONCE = 4096  # pictures; sorting logits takes several times their memory
IMAGENET = (1000, 50)  # the validation set: classes, pictures of each


def of_runtime(model, dataset, logits):
    """`(entry, effnet.results.metrics.Results)` of the logits (n, outputs) that a runtime gave."""
    found = _results(logits, dataset.labels)
    summary = _figures(found)
    present = np.array(dataset.present)
    among = found
    if len(present) < logits.shape[1]:
        among = _results(logits[:, present], np.searchsorted(present, dataset.labels))
    return {
        **summary,
        "classes_present": {"classes": len(present), **_figures(among)},
        "published": published(model.meta, dataset, summary),
        "per_class": _per_class(found, dataset),
        "worst_mistakes": [_mistake(found, dataset, i) for i in mistakes.worst(found).tolist()],
    }, found


def published(meta, dataset, summary):
    """`{"top1": share or None, "verdict": words}`: the accuracy that came with the weights beside the measured one.

    A verdict is given only where all of ImageNet's validation set was seen, since that is what was published on.
    """
    expected = meta.get("expected_top1")
    if not expected:
        return {"top1": None, "verdict": ""}
    (count, each), pictures = IMAGENET, np.bincount(dataset.labels, minlength=len(dataset.classes))
    whole = len(pictures) == count and (pictures == each).all() and all(map(classes.WNID.fullmatch, dataset.class_ids))
    but = "" if whole else f"these {summary['images']:,} are only indicative"
    return {"top1": expected, "verdict": verdict(expected, count * each, summary["interval"], but)}


def provenance(model, dataset, asked):
    """Of which model, on which pictures, in which runtimes, with what."""
    meta, look = model.meta, runtimes.settings(model, 1)
    keys = ("variant", "class_num", "source", "licence", "recipe_digest", "data_digest", "mean", "std")
    return {
        "model": {"path": str(model.path), "sha256": sha256(model.path)} | {key: meta.get(key) for key in keys},
        "data": {"images": len(dataset), "classes": len(dataset.present), "digest": dataset.digest},
        "preprocessing": look.preprocessing(),
        "versions": versions(["openvino"] if any(name.startswith("openvino") for name in asked) else []),
        **clock.git_state(),
    }


def _results(logits, labels):
    parts = [slice(i, i + AT_ONCE) for i in range(0, len(labels), AT_ONCE)]
    found = [metrics.results(logits[part], labels[part]) for part in parts]
    return metrics.Results(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _figures(results):
    summary = metrics.summarize(results)
    return summary | {"interval": [round(end, metrics.DIGITS) for end in metrics.interval(summary)]}


def _per_class(results, dataset):
    rows = metrics.per_class(results, dataset.labels, dataset.classes)
    return [{"id": dataset.class_ids[output], **rows[output]} for output in dataset.present]


def _mistake(results, dataset, i):
    return {
        "name": dataset.names[i],
        "actual": dataset.classes[dataset.labels[i]],
        "predicted": dataset.classes[results.top[i, 0]],
        "confidence": round(float(results.confidence[i]), 4),
        "loss": round(float(results.loss[i]), 4),
    }
