"""Stage 8: every validation picture through the C++ application -> metrics/infer310.json. On an Ascend machine: --device ascend310."""

import argparse

from effnet import errors, infer310, metrics, provenance, recipe
from effnet.data.shards import Dataset
from effnet.files import write_json


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu (default), ascend310, ascend310p or gpu")
    device = parser.parse_args().device
    params = recipe.load()
    dataset = Dataset("data/prepared", "val")
    program, model, meta = "models/infer310/effnet310", "models/infer310/effnet.mindir", "models/effnet.json"
    logits, report = infer310.evaluate(program, model, meta, dataset, device, params.onnx.batch_size, params.data.workers)
    metrics.write_logits("metrics/infer310/logits.npy", logits)
    summary = metrics.summarize(metrics.results(logits, dataset.labels))
    write_json("metrics/infer310.json", summary | {"device": report["device"]})
    seconds = len(dataset) / report["images_per_second"]  # of effnet310's own work: not of handing it the pictures
    provenance.write("metrics/provenance/infer310.json", params, dataset, seconds, len(dataset), model, f"MindSpore Lite {device}")
    return 0


if __name__ == "__main__":
    errors.run(main)
