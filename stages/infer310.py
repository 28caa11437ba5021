"""Every validation picture through the C++ program -> metrics/infer310.json.

On an Ascend machine: --device ascend310.
"""

import argparse
import json
from pathlib import Path

from effnet import errors, recipe
from effnet.files import write_json
from effnet.results import metrics, provenance
from effnet.runtimes import infer310
from effnet.shards.dataset import Dataset


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu (default), ascend310, ascend310p or gpu")
    device = parser.parse_args().device
    params, dataset = recipe.load(), Dataset("data/prepared", "val")
    program, model, meta = "models/infer310/effnet310", "models/infer310/effnet.mindir", "models/effnet.json"
    batch, threads = params.onnx.batch_size, params.data.workers
    logits, report = infer310.logits_of(program, model, meta, dataset, device, batch, threads)
    metrics.write_logits("metrics/infer310/logits.npy", logits)
    summary = metrics.summarize(metrics.results(logits, dataset.labels))
    write_json("metrics/infer310.json", summary | {"device": report["device"]})
    seconds = len(dataset) / report["images_per_second"]  # of effnet310's own work: not of handing it the pictures
    where = {"target": f"MindSpore Lite {device}", "number": 1}
    says = json.loads(Path(meta).read_text())
    provenance.write("metrics/provenance/infer310.json", says, dataset, seconds, len(dataset), where, model)


if __name__ == "__main__":
    errors.run(main)
