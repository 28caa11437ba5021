"""The logits of MindSpore, ONNX Runtime and the C++ program, side by side -> metrics/parity.json, metrics/parity.

Fails where two float32 runtimes do not answer alike; the files are written before, so that one can see how.
"""

import json
from pathlib import Path

from effnet import errors, recipe
from effnet.comparison import parity
from effnet.files import write_json
from effnet.results import logits
from effnet.shards.dataset import Dataset

FLOAT32 = {
    "mindspore": "evaluate",
    "onnx": "onnx_eval",
    "infer310": "infer310",
}  # by runtime: the stage that keeps them


def main():
    quantized = recipe.load().export.quantize
    stages = FLOAT32 | {f"onnx_{kind}": "onnx_eval" for kind in quantized}
    dataset = Dataset("data/prepared", "val")
    of = json.loads(Path("metrics/provenance/evaluate.json").read_text())["recipe"]
    found = logits.read(stages, of, dataset, stages)
    table = parity.pairs(found)
    write_json("metrics/parity.json", {"worst_float32_difference": parity.worst(table, FLOAT32)})
    parity.write_tables("metrics/parity", table, found)
    parity.check({name: found[name] for name in FLOAT32}, dataset.names)


if __name__ == "__main__":
    errors.run(main)
