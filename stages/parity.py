"""The logits that MindSpore, ONNX Runtime and the C++ application gave, side by side -> metrics/parity.json,
metrics/parity.svg.

Fails where two float32 runtimes do not answer alike; both files are written before, so that one can see how.
"""

import numpy as np

from effnet import errors, recipe
from effnet.comparison import parity
from effnet.files import write_json
from effnet.shards.dataset import Dataset

FLOAT32 = {
    "mindspore": "metrics/evaluate/logits.npy",
    "onnx": "metrics/onnx_eval/float32.npy",
    "infer310": "metrics/infer310/logits.npy",
}


def main():
    quantized = recipe.load().export.quantize
    float32 = {name: np.load(path) for name, path in FLOAT32.items()}
    logits = float32 | {f"onnx_{kind}": np.load(f"metrics/onnx_eval/{kind}.npy") for kind in quantized}
    write_json("metrics/parity.json", parity.pairs(logits))
    parity.draw("metrics/parity.svg", logits)
    parity.check(float32, Dataset("data/prepared", "val").names)


if __name__ == "__main__":
    errors.run(main)
