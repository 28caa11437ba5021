"""This project's ONNX graph of B2 at 260 pixels against the one that MindSpore exports, under ONNX Runtime on a CPU.

    python -m bench.onnx_export [--rounds 5] [--seconds 1.0]

Rewrites the table in docs/design.md. Rates are medians over rounds in turn, one session alive at a time (see
bench/onnx.py); `ratio` is the smaller of those at batches 1 and 8. Both answer alike, which is checked first.
"""

import argparse
import json
import re
import statistics
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import onnxruntime
from mindspore.onnx import export

from bench.onnx import CLASSES, SIZE, in_turns, ours, rate, ratio
from effnet import errors
from effnet.arch.initial import initial_weights
from effnet.arch.layers import shapes
from effnet.files import whole
from effnet.network.efficientnet import EfficientNet, load_weights

PAGE = Path(__file__).parents[1] / "docs/design.md"
BATCHES = (1, 8)
EQUAL = 1e-3  # of the largest logit


def mindspores(path):
    net = EfficientNet("efficientnet_b2", CLASSES)
    net.update_parameters_name()
    load_weights(net, initial_weights(shapes("efficientnet_b2", CLASSES), seed=1))
    net.set_train(False)
    image = ms.Tensor(np.zeros((2, 3, SIZE, SIZE), np.float32))
    names = {"input_names": ["image"], "output_names": ["logits"]}
    export(net, image, file_name=str(path.with_suffix("")), dynamic_axes={"image": {0: "batch"}}, **names)


def answers(path):
    image = np.random.default_rng(0).standard_normal((3, 3, SIZE, SIZE), np.float32)
    return onnxruntime.InferenceSession(str(path)).run(None, {"image": image})[0]


def described(path):
    model = onnx.load(path)
    first = model.graph.output[0].type.tensor_type.shape.dim[0]
    return [len(model.graph.node), model.opset_import[0].version, first.dim_param or first.dim_value]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = {"this project": Path(folder) / "ours.onnx", "MindSpore": Path(folder) / "mindspore.onnx"}
        ours(paths["this project"])
        mindspores(paths["MindSpore"])
        mine, other = (answers(path) for path in paths.values())
        if np.abs(mine - other).max() > EQUAL * np.abs(mine).max():
            raise errors.InputError(
                f"the two files differ by {np.abs(mine - other).max():.2g} in a logit: not the same network"
            )
        facts = {name: described(path) for name, path in paths.items()}
        rates = {
            batch: in_turns(
                {name: partial(rate, path, batch, args.seconds) for name, path in paths.items()}, args.rounds
            )
            for batch in BATCHES
        }
    lines = [
        "| written by | nodes | opset | output's first dimension | images/s at batch 1 | at batch 8 |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in facts.items():
        cells = [name, *found, *(f"{statistics.median(rates[batch][name]):.0f}" for batch in BATCHES)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    versions = ", ".join(f"{name} {version(name)}" for name in ("mindspore", "onnxruntime"))
    table = "\n".join([*lines, "", f"Medians of {args.rounds} rounds in turn; {versions}."])
    text = re.sub(
        r"(?s)(<!-- onnx_export -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{table}\n{m[2]}", PAGE.read_text()
    )
    with whole(PAGE, "w") as file:
        file.write(text)
    print(table)
    ratios = {f"batch_{batch}": ratio(found["this project"], found["MindSpore"]) for batch, found in rates.items()}
    result = {"bench": "onnx_export", "ratio": min(ratios.values()), "peer": "mindspore.onnx.export", "goal": 1.0}
    print(json.dumps(result | {"measured": {"over_mindspore": ratios}}))
    return 0


if __name__ == "__main__":
    errors.run(main)
