"""Stage 3: models/effnet.ckpt over every validation picture -> metrics/evaluate.json and tables and the worst mistakes beside it."""

import time

from effnet import checkpoint, device, errors, metrics, mistakes, provenance, recipe
from effnet.data.shards import Dataset
from effnet.device_errors import explained
from effnet.evaluate import Evaluator
from effnet.files import write_json


def main():
    params = recipe.load()
    device.start(params.train.device_target)
    weights, _ = checkpoint.load_model("models/effnet.ckpt", params.model.variant, params.model.class_num)
    dataset = Dataset("data/prepared", "val")
    began = time.perf_counter()
    with explained():
        logits = Evaluator(params)(weights, dataset)
    seconds = time.perf_counter() - began
    results = metrics.results(logits, dataset.labels)
    metrics.write_logits("metrics/evaluate/logits.npy", logits)
    metrics.write_tables("metrics/evaluate", results, dataset)
    mistakes.write_sheet("metrics/evaluate/mistakes.png", results, dataset)
    write_json("metrics/evaluate.json", metrics.summarize(results))
    provenance.write("metrics/provenance/evaluate.json", params, dataset, seconds, len(dataset), "models/effnet.ckpt")
    return 0


if __name__ == "__main__":
    errors.run(main)
