"""models/effnet.onnx and models/quantized over every validation picture -> metrics/onnx_eval.json, metrics/quantized.

MindSpore is not imported.
"""

import time
from pathlib import Path

from effnet import errors, recipe
from effnet.files import write_json
from effnet.results import clock, logits, metrics, provenance
from effnet.runtimes import onnx_runtime
from effnet.shards.dataset import Dataset

MODEL = "models/effnet.onnx"
QUANTIZED, METRICS = "models/quantized/effnet.{}.onnx", Path("metrics/quantized")


def main():
    params, dataset = recipe.load(), Dataset("data/prepared", "val")
    model, found = evaluate(params, dataset, "onnx", MODEL)
    write_json("metrics/onnx_eval.json", found)
    METRICS.mkdir(parents=True, exist_ok=True)  # DVC expects it, with or without files
    for kind in params.export.quantize:
        write_json(METRICS / f"{kind}.json", evaluate(params, dataset, f"onnx_{kind}", QUANTIZED.format(kind))[1])
    where = {"target": model.provider, "number": 1}
    provenance.write("metrics/provenance/onnx_eval.json", model.meta, dataset, where, MODEL)


def evaluate(params, dataset, name, path):
    """(model, its summary) of the file at `path`; its logits and its speed are kept as `name`'s."""
    model = onnx_runtime.Model(path, params.onnx.provider, params.onnx.threads)
    began = time.perf_counter()
    answers = onnx_runtime.logits_of(model, dataset, params.evaluate, params.onnx.batch_size, params.data.workers)
    clock.write(f"metrics/clock/{name}.json", time.perf_counter() - began, len(dataset))
    logits.keep(name, answers, model.meta, dataset)
    return model, metrics.summarize(metrics.results(answers, dataset.labels))


if __name__ == "__main__":
    errors.run(main)
