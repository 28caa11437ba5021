"""Stage 3: models/effnet.ckpt over every validation picture -> metrics/evaluate.json and tables beside it."""

from effnet import checkpoint, device, errors, metrics, recipe
from effnet.data.shards import Dataset
from effnet.device_errors import explained
from effnet.evaluate import Evaluator
from effnet.files import write_json


def main():
    params = recipe.load()
    device.start(params.train.device_target)
    weights, _ = checkpoint.load_model("models/effnet.ckpt", params.model.variant, params.model.class_num)
    dataset = Dataset("data/prepared", "val")
    with explained():
        logits = Evaluator(params)(weights, dataset)
    results = metrics.results(logits, dataset.labels)
    metrics.write_tables("metrics/evaluate", results, dataset)
    write_json("metrics/evaluate.json", metrics.summarize(results))
    return 0


if __name__ == "__main__":
    errors.run(main)
