"""models/effnet.ckpt over every validation picture -> metrics/evaluate.json, tables and the worst mistakes."""

import time

from effnet import errors, recipe, trained
from effnet.devices.messages import explained
from effnet.evaluation.evaluator import Evaluator
from effnet.files import write_json
from effnet.network import device
from effnet.results import classes, clock, logits, metrics, mistakes, provenance
from effnet.shards.dataset import Dataset

MODEL = "models/effnet.ckpt"


def main():
    params = recipe.load()
    train, target = params.train, params.train.device_target
    device.start(target, train.threads, train.deterministic, train.tf32)
    weights, meta = trained.load(MODEL, params.model.variant, params.model.class_num)
    dataset = Dataset("data/prepared", "val")
    classes.require_same(meta, dataset, MODEL, "data/prepared")
    began = time.perf_counter()
    with explained():
        answers = Evaluator(meta, params.evaluate, params.data.workers)(weights, dataset)
    seconds = time.perf_counter() - began
    results = metrics.results(answers, dataset.labels)
    logits.keep("mindspore", answers, meta, dataset)
    metrics.write_tables("metrics/evaluate", results, dataset)
    mistakes.write_sheet("metrics/evaluate/mistakes.png", results, dataset)
    smoothed = metrics.smoothed_loss(answers, dataset.labels, train.label_smooth_factor)
    write_json("metrics/evaluate.json", metrics.summarize(results) | {"smoothed_loss": smoothed})
    precision = provenance.precision(target, params.evaluate.amp_level, train.tf32)
    where = {"target": target, "number": 1, "precision": precision}
    provenance.write("metrics/provenance/evaluate.json", meta, dataset, where, MODEL)
    clock.write("metrics/clock/evaluate.json", seconds, len(dataset))


if __name__ == "__main__":
    errors.run(main)
