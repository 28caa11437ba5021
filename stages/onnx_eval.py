"""models/effnet.onnx and its quantized forms under ONNX Runtime over every validation picture -> metrics/onnx_*.json.

MindSpore is not imported. The logits stay in metrics/onnx_eval for the parity stage.
"""

import time

from effnet import errors, recipe
from effnet.files import write_json
from effnet.results import metrics, provenance
from effnet.runtimes import onnx_runtime
from effnet.shards.dataset import Dataset

FILES = {  # by metrics file
    "onnx_eval": ("float32", "models/effnet.onnx"),
    "onnx_float16": ("float16", "models/quantized/effnet.float16.onnx"),
    "onnx_int8": ("int8", "models/quantized/effnet.int8.onnx"),
}


def main():
    params, dataset = recipe.load(), Dataset("data/prepared", "val")
    for name, (kind, path) in FILES.items():
        if kind not in ("float32", *params.export.quantize):
            write_json(f"metrics/{name}.json", {})  # DVC expects the file, and an old one would mislead
            continue
        model = onnx_runtime.Model(path, params.onnx.provider)
        began = time.perf_counter()
        logits = onnx_runtime.logits_of(model, dataset, params.evaluate, params.onnx.batch_size, params.data.workers)
        seconds = time.perf_counter() - began
        metrics.write_logits(f"metrics/onnx_eval/{kind}.npy", logits)
        summary = metrics.summarize(metrics.results(logits, dataset.labels))
        write_json(f"metrics/{name}.json", summary | {"provider": model.provider})
        if kind == "float32":
            where = {"target": model.provider, "number": 1}
            provenance.write(f"metrics/provenance/{name}.json", model.meta, dataset, seconds, len(dataset), where, path)


if __name__ == "__main__":
    errors.run(main)
