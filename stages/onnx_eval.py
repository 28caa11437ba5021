"""Stage 5: models/effnet.onnx under ONNX Runtime over every validation picture -> metrics/onnx_eval.json. MindSpore is not imported."""

from effnet import errors, metrics, onnx, recipe
from effnet.data.shards import Dataset
from effnet.files import write_json


def main():
    params = recipe.load()
    model = onnx.Model("models/effnet.onnx", params.onnx.provider)
    dataset = Dataset("data/prepared", "val")
    logits = onnx.evaluate(model, dataset, params.evaluate, params.onnx.batch_size, params.data.workers)
    summary = metrics.summarize(metrics.results(logits, dataset.labels))
    write_json("metrics/onnx_eval.json", summary | {"provider": model.provider})
    return 0


if __name__ == "__main__":
    errors.run(main)
