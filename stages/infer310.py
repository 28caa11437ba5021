"""Every validation picture through the C++ program -> metrics/infer310.json. On an Ascend: --device ascend310.

Where the recipe leaves this runtime out, the file says so.
"""

import argparse
from pathlib import Path

from effnet import errors, parsed, recipe
from effnet.errors import InputError
from effnet.files import write_json
from effnet.results import classes, clock, logits, metrics, provenance
from effnet.runtimes import infer310
from effnet.shards.dataset import Dataset

MODEL = "models/infer310/effnet.mindir"
METRICS, PROVENANCE = "metrics/infer310.json", "metrics/provenance/infer310.json"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu (default), ascend310, ascend310p or gpu")
    device = parser.parse_args().device
    params, dataset = recipe.load(), Dataset("data/prepared", "val")
    meta = "models/effnet.json"
    says = parsed.json_file(Path(meta), parsed.Meta)
    if not says:
        raise InputError(f"{meta}: not here; `dvc repro export` makes it, `dvc pull` brings it")
    classes.require_same(says, dataset, MODEL, "data/prepared")
    if not params.onnx.infer310:
        write_json(METRICS, parsed.LEFT_OUT)
        return provenance.write(PROVENANCE, says, dataset, {"target": "left out", "number": 0}, MODEL)
    program = infer310.program("build/infer310", infer310.mindspore_lite())
    batch, threads = params.onnx.batch_size, params.onnx.threads
    answers, report = infer310.logits_of(program, MODEL, meta, dataset, device, batch, threads)
    logits.keep("infer310", answers, says, dataset)
    write_json(METRICS, metrics.summarize(metrics.results(answers, dataset.labels)))
    # Ascend's converter makes float16 of a model
    precision = "float16" if device.startswith("ascend") else "float32"
    where = {"target": f"MindSpore Lite {report['device']}", "number": 1, "precision": precision}
    provenance.write(PROVENANCE, says, dataset, where, MODEL)
    # of effnet310's own work: not of handing it the pictures
    clock.write("metrics/clock/infer310.json", len(dataset) / report["images_per_second"], len(dataset))


if __name__ == "__main__":
    errors.run(main)
