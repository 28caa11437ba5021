"""How far logits are from float32's where a device rounds what it multiplies: emulated on a CPU, which does not.

    python -m bench.precision MODEL.onnx [--data FOLDER] [--name NAME]

  tf32       what convolutions and matrix products multiply has ten bits of mantissa: NVIDIA's TF32, Ascend's HF32
  bfloat16   seven bits
  float16    ten bits, and whatever a layer answers is rounded likewise; its range is not emulated

MODEL's graph is run in ONNX Runtime with the rounding written into it (to the nearest, Dekker 1971,
https://doi.org/10.1007/BF01397083, section 5), and compared with the graph as it is on the pictures of FOLDER, or the
validation pictures of data/prepared; so is OpenVINO's own bfloat16, on a processor that has it. What is measured is
kept in bench/precision.json under NAME, and its part of docs/deploy.md written anew; the limits of
effnet/comparison/parity.py are at least twice the worst of it.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bench import sides
from bench.sides import ROOT
from effnet import errors
from effnet.cli.tune import sample
from effnet.comparison import parity
from effnet.files import write_json
from effnet.runtimes import by_name
from effnet.runtimes.onnx_runtime import Model

KEPT, PAGE = ROOT / "bench/precision.json", ROOT / "docs/deploy.md"
PICTURES, BATCH = 512, 8
BITS = {"tf32": 11, "bfloat16": 8, "float16": 11}  # of the significand, the leading one counted
REAL = "OpenVINO's bfloat16"  # measured where the processor has it
PRODUCTS = ("Conv", "Gemm", "MatMul")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", default="", help="folder of pictures")
    parser.add_argument("--name", help="of the row; else the model's variant")
    args = parser.parse_args()
    model = Model(args.model)
    images, words = sample(model.meta, model.size[0], args.data, PICTURES)
    if not len(images):
        raise errors.InputError(f"--data: no pictures for {args.model}; name a folder of some")
    exact = answers(model, model.session, images)
    found = {"pictures": len(images)}
    for precision in BITS:
        graph = rounding(onnx.load(args.model), precision)
        other = answers(model, onnxruntime.InferenceSession(graph.SerializeToString(), model.options), images)
        found[precision] = compared(other, exact)
    try:
        real = by_name.load(args.model, "openvino-bfloat16")
    except errors.InputError as problem:
        print(f"not measured: {problem}")
    else:
        found[REAL] = compared(np.concatenate([real(batch) for batch in batches(images)]), exact)
    print(f"{words}: {json.dumps(found)}")
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept[args.name or model.meta["variant"]] = found
    write_json(KEPT, kept)
    sides.write_part(PAGE, "precision", table(kept))


def batches(images):
    return [images[i : i + BATCH] for i in range(0, len(images), BATCH)]


def answers(model, session, images):
    """(n, classes) float32."""
    return np.concatenate([session.run(["logits"], {"image": model.normalize(batch)})[0] for batch in batches(images)])


def compared(logits, exact):
    return {
        "off": float(f"{parity.off(logits, exact):.3g}"),
        "equal_top1": round(float((logits.argmax(axis=1) == exact.argmax(axis=1)).mean()), 4),
    }


def rounding(model, precision):
    """The ONNX model with what it multiplies rounded, and under float16 what every node answers."""
    graph, bits, nodes = model.graph, BITS[precision], []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            tensor.CopyFrom(numpy_helper.from_array(rounded(numpy_helper.to_array(tensor), bits), tensor.name))
    computed, names = made(graph) - {tensor.name for tensor in graph.initializer}, {}
    graph.initializer.append(helper.make_tensor("round.factor", TensorProto.FLOAT, [], [2.0 ** (24 - bits) + 1]))

    def round_(name):
        if name not in names:
            names[name] = f"{name}.rounded"
            high, rest = f"{name}.high", f"{name}.rest"
            nodes.append(helper.make_node("Mul", [name, "round.factor"], [high]))
            nodes.append(helper.make_node("Sub", [high, name], [rest]))
            nodes.append(helper.make_node("Sub", [high, rest], [names[name]]))
        return names[name]

    for node in graph.node:
        if node.op_type in PRODUCTS or precision == "float16":
            for place in (0, 1) if node.op_type in PRODUCTS else range(len(node.input)):
                if place < len(node.input) and node.input[place] in computed:
                    node.input[place] = round_(node.input[place])
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def made(graph):
    """Names of the float32 tensors that the graph computes."""
    inferred = onnx.shape_inference.infer_shapes(helper.make_model(graph)).graph
    return {
        value.name
        for value in [*inferred.value_info, *inferred.input]
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }


def rounded(array, bits):
    """`array` (float32) to the nearest number of so many bits, ties to even."""
    high = array * np.float32(2.0 ** (24 - bits) + 1)
    return high - (high - array)


def table(kept):
    kinds = [*BITS, REAL]
    head = ["model", "pictures", *(f"{name}: off, same top-1" for name in kinds)]
    rows = [
        [name, str(found["pictures"])]
        + [f"{of['off']:.2%}, {of['equal_top1']:.1%}" if (of := found.get(kind)) else "-" for kind in kinds]
        for name, found in kept.items()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    sys.exit(errors.run(main))
