"""B2 at 260 pixels on a CPU: this project's ONNX file against PyTorch's export, in ONNX Runtime and, where it is
installed, in OpenVINO; int8 and bfloat16 against float32.

    python -m bench.onnx [FOLDER] [--rounds 5] [--seconds 1.5]

Batches of 1 and 8, normalised pictures in memory. Weights are random: they decide no time. int8 is calibrated with
JPEGs of FOLDER, or with a made-up picture where there are none.
"""

import importlib.util
import json
import os
import tempfile
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from bench import rounds
from bench.rounds import each
from effnet.arch.initial import initial_weights
from effnet.arch.layers import shapes
from effnet.devices import machine
from effnet.export import onnx_graph
from effnet.recipe import Evaluate

SIZE, CLASSES, BATCHES = 260, 1000, (1, 8)
SETTINGS = Evaluate(resize=280, crop=SIZE, interpolation="bilinear", batch_size=8, amp_level="O0")
CALIBRATION = 32


class Files:
    """What the loader needs of a data set, over loose files, or over one made-up picture where there are none."""

    def __init__(self, folder, least):
        self.pictures = [path.read_bytes() for path in jpegs(folder)] or [made_up()]
        self.names = [str(i) for i in range(max(least, len(self.pictures)))]
        self.labels, self.classes = np.zeros(len(self.names), np.int32), [""] * CLASSES

    def __len__(self):
        return len(self.names)

    def read(self, i):
        return self.pictures[i % len(self.pictures)]


def jpegs(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))


def made_up():
    file, rng = BytesIO(), np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (47, 63, 3)).astype(np.uint8))
    coarse.resize((500, 375), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def model(variant="efficientnet_b2", size=SIZE):
    """(weights, meta) of a network with random weights."""
    names = [str(i) for i in range(CLASSES)]
    meta = {"variant": variant, "class_num": CLASSES, "padding": "same", "bn_eps": 1e-3, "image_size": size}
    meta |= {"classes": names, "class_ids": names, "mean": [127.5] * 3, "std": [127.5] * 3}
    settings = SETTINGS.model_copy(update={"resize": size + 20, "crop": size})
    return initial_weights(shapes(variant, CLASSES), seed=1), meta | settings.preprocessing()


def ours(path, variant="efficientnet_b2", size=SIZE):
    onnx_graph.write(path, *model(variant, size), size, size, opset=21, normalize="outside")


def theirs(path):
    import torch
    from efficientnet_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-b2", image_size=SIZE, num_classes=CLASSES).eval()
    net.set_swish(memory_efficient=False)  # the form its author gives for export
    names = {"input_names": ["image"], "output_names": ["logits"]}
    batch = {name: {0: "batch"} for name in ("image", "logits")}
    image = torch.zeros(2, 3, SIZE, SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, image, path, **names, dynamic_axes=batch, opset_version=17, dynamo=False)


def onnx_runtime(path):
    """A function of a normalised float32 batch (N, 3, SIZE, SIZE)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = len(os.sched_getaffinity(0)), 3
    session = onnxruntime.InferenceSession(str(path), options)
    return lambda image: session.run(None, {"image": image})


def openvino(path, precision="f32"):
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0))}
    compiled = openvino.compile_model(str(path), "CPU", settings | {"PERFORMANCE_HINT": "LATENCY"})
    return lambda image: compiled({"image": image})


def bfloat16(path):
    return openvino(path, "bf16")


FLOAT32, INT8, TORCH = "effnet.onnx", "effnet.int8.onnx", "torch.onnx"
SIDES = {  # a side: the file, and what makes of it a function of pictures
    "ONNX Runtime": (FLOAT32, onnx_runtime),
    "ONNX Runtime, PyTorch's export": (TORCH, onnx_runtime),
    "ONNX Runtime, int8": (INT8, onnx_runtime),
}
ROWS = [  # whose rate, over whose, and the goal
    ("ONNX Runtime", "ONNX Runtime, PyTorch's export", 1.0),
    ("ONNX Runtime, int8", "ONNX Runtime", 1.5),
]
if importlib.util.find_spec("openvino"):
    SIDES |= {"OpenVINO": (FLOAT32, openvino), "OpenVINO, int8": (INT8, openvino)}
    ROWS += [("ONNX Runtime", "OpenVINO", 1.0), ("OpenVINO, int8", "OpenVINO", 1.5)]
    if "avx512_bf16" in machine.flags():
        SIDES |= {"OpenVINO, bfloat16": (FLOAT32, bfloat16)}
        ROWS += [("ONNX Runtime", "OpenVINO, bfloat16", 1.0), ("OpenVINO, bfloat16", "OpenVINO", 1.0)]


def files(folder, pictures, calibration):
    """Write the files of SIDES into `folder`; int8 is calibrated with the JPEGs in the folder `pictures`."""
    ours(folder / FLOAT32)
    theirs(folder / TORCH)
    quantize(folder, pictures, calibration)


def quantize(folder, pictures, calibration):
    """Write int8's file beside the float32 one."""
    from effnet.runtimes import int8

    chosen = int8.calibration_pictures(Files(pictures, calibration), SETTINGS, calibration)
    int8.to_int8(folder / INT8, folder / FLOAT32, chosen)


def rate(run, batch, seconds):
    """{"rate": images a second} of a function of pictures that nobody called yet."""
    image = np.random.default_rng(0).standard_normal((batch, 3, SIZE, SIZE), np.float32)
    rounds.repeat(lambda: run(image), seconds / 3)
    return {"rate": rounds.repeat(lambda: run(image), seconds) * batch}


def main():
    parser = rounds.arguments(__doc__, folder=True)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each side in each round")
    args = parser.parse_args()
    seconds = 0 if args.tiny else args.seconds
    if args.side == "files":
        files(args.scratch, args.folder, 2 if args.tiny else CALIBRATION)
        print("{}")
        return 0
    if args.side:
        file, run = SIDES[args.side]
        print(json.dumps(rate(run(args.scratch / file), args.case["batch"], seconds)))
        return 0
    turns, rows = rounds.Turns("bench.onnx", args), []
    with tempfile.TemporaryDirectory() as scratch:
        turns.prepare("files", also=[args.folder, "--scratch", scratch])
        for batch in BATCHES[:1] if args.tiny else BATCHES:
            found = turns(SIDES, {"batch": batch}, ["--scratch", scratch, "--seconds", seconds])
            for mine, peer, goal in ROWS:
                rows.append(
                    rounds.row(f"{mine}, B2 at {SIZE}, batch {batch}", peer, each(found[mine]), each(found[peer]), goal)
                )
    packages = ["onnxruntime", "onnx", "torch", "efficientnet_pytorch"]
    packages += ["openvino"] if "OpenVINO" in SIDES else []
    vnni = any(name in machine.flags() for name in ("avx512_vnni", "avx_vnni"))
    print(json.dumps(turns.result("onnx", rows, packages, vnni=vnni)))
    return 0


if __name__ == "__main__":
    rounds.program(main)
