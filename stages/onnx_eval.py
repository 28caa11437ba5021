"""Stage 5: models/effnet.onnx under ONNX Runtime over every validation picture -> metrics/onnx_eval.json. MindSpore is not imported."""

import time

from effnet import errors, metrics, onnx, provenance, recipe
from effnet.data.shards import Dataset
from effnet.files import write_json


def main():
    params = recipe.load()
    model = onnx.Model("models/effnet.onnx", params.onnx.provider)
    dataset = Dataset("data/prepared", "val")
    began = time.perf_counter()
    logits = onnx.evaluate(model, dataset, params.evaluate, params.onnx.batch_size, params.data.workers)
    seconds = time.perf_counter() - began
    summary = metrics.summarize(metrics.results(logits, dataset.labels))
    write_json("metrics/onnx_eval.json", summary | {"provider": model.provider})
    provenance.write("metrics/provenance/onnx_eval.json", params, dataset, seconds, len(dataset), "models/effnet.onnx", model.provider)
    return 0


if __name__ == "__main__":
    errors.run(main)
