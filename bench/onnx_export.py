"""This project's ONNX graph of B2 at 260 pixels against the one that MindSpore exports, under ONNX Runtime on a CPU.

    python -m bench.onnx_export [--rounds 5] [--seconds 1.5]

Batches of 1 and 8. Both files answer alike, which is checked first; what they are made of is said as well.
"""

import json
import tempfile

import numpy as np

from bench import rounds
from bench.onnx import BATCHES, CLASSES, SIZE, model, onnx_runtime, ours, rate
from bench.rounds import each
from effnet import errors

FILES = {"ours": "ours.onnx", "MindSpore's export": "mindspore.onnx"}
EQUAL = 1e-3  # of the largest logit


def mindspores(path):
    from effnet.network.efficientnet import EfficientNet, load_weights  # isort: skip - before MindSpore

    import mindspore as ms
    from mindspore.onnx import export

    net = EfficientNet("efficientnet_b2", CLASSES)
    net.update_parameters_name()
    load_weights(net, model()[0])
    net.set_train(False)
    image = ms.Tensor(np.zeros((2, 3, SIZE, SIZE), np.float32))
    names = {"input_names": ["image"], "output_names": ["logits"]}
    export(net, image, file_name=str(path.with_suffix("")), dynamic_axes={"image": {0: "batch"}}, **names)


def written(side, path):
    """Write a side's file; {"nodes", "opset", "first dimension of the output"}, and what it answers to a picture."""
    import onnx

    (ours if side == "ours" else mindspores)(path)
    graph = onnx.load(path)
    first = graph.graph.output[0].type.tensor_type.shape.dim[0]
    image = np.random.default_rng(0).standard_normal((3, 3, SIZE, SIZE), np.float32)
    return {
        "nodes": len(graph.graph.node),
        "opset": graph.opset_import[0].version,
        "first dimension of the output": first.dim_param or first.dim_value,
        "logits": onnx_runtime(path)(image)[0].tolist(),
    }


def main():
    parser = rounds.arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each side in each round")
    args = parser.parse_args()
    seconds = 0 if args.tiny else args.seconds
    if args.side:
        path = args.scratch / FILES[args.side]
        if args.case == "write":
            print(json.dumps(written(args.side, path)))
        else:
            print(json.dumps(rate(onnx_runtime(path), args.case["batch"], seconds)))
        return 0
    turns, rows = rounds.Turns("bench.onnx_export", args), []
    with tempfile.TemporaryDirectory() as scratch:
        facts = {side: turns.prepare(side, "write", ["--scratch", scratch]) for side in FILES}
        mine, other = (np.array(fact.pop("logits")) for fact in facts.values())
        if np.abs(mine - other).max() > EQUAL * np.abs(mine).max():
            raise errors.InputError(
                f"the two files differ by {np.abs(mine - other).max():.2g} in a logit: not the same network"
            )
        for batch in BATCHES[:1] if args.tiny else BATCHES:
            found = turns(FILES, {"batch": batch}, ["--scratch", scratch, "--seconds", seconds])
            pair = (each(found[side]) for side in FILES)
            rows.append(rounds.row(f"ONNX file, B2 at {SIZE}, batch {batch}", "MindSpore's export", *pair))
    print(json.dumps(turns.result("onnx_export", rows, ("mindspore", "onnx", "onnxruntime"), files=facts)))
    return 0


if __name__ == "__main__":
    rounds.program(main)
