"""models/effnet.onnx and models/quantized over every validation picture, in ONNX Runtime and, where the recipe asks for
it, in OpenVINO -> metrics/onnx.

MindSpore is not imported.
"""

import time

from effnet import errors, recipe
from effnet.files import write_json
from effnet.results import classes, clock, logits, metrics, provenance
from effnet.runtimes import by_name
from effnet.runtimes.exported import logits_of
from effnet.shards.dataset import Dataset

MODEL = "models/effnet.onnx"
QUANTIZED = "models/quantized/effnet.{}.onnx"


def main():
    params, dataset = recipe.load(), Dataset("data/prepared", "val")
    model = evaluate(params, dataset, "onnx", MODEL, "float32")
    for kind in params.export.quantize:
        evaluate(params, dataset, "onnx", QUANTIZED.format(kind), kind)
    for precision in params.onnx.openvino:
        path = QUANTIZED.format(precision) if precision == "int8" else MODEL
        evaluate(params, dataset, "openvino", path, precision)
    precision = provenance.precision(params.onnx.provider, tf32=params.onnx.tf32)
    where = {"target": model.provider, "number": 1, "precision": precision}
    used = ["openvino"] if params.onnx.openvino else []
    provenance.write("metrics/provenance/onnx_eval.json", model.meta, dataset, where, MODEL, used)


def evaluate(params, dataset, program, path, precision):
    """The model of the file at `path`, whose figures, logits and speed are kept."""
    runtime = program if precision == "float32" else f"{program}-{precision}"
    name = runtime.replace("-", "_")  # of its files
    model = by_name.load(path, runtime, params.onnx.threads, params.onnx.provider, params.onnx.tf32)
    classes.require_same(model.meta, dataset, path, "data/prepared")
    began = time.perf_counter()
    answers = logits_of(model, dataset, params.evaluate, params.onnx.batch_size, params.data.workers)
    clock.write(f"metrics/clock/{name}.json", time.perf_counter() - began, len(dataset))
    logits.keep(name, answers, model.meta, dataset)
    found = metrics.summarize(metrics.results(answers, dataset.labels))
    write_json(f"metrics/onnx/{precision if program == 'onnx' else name}.json", found)
    return model


if __name__ == "__main__":
    errors.run(main)
