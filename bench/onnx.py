"""B2 at 260 pixels under ONNX Runtime on a CPU: this project's graph against B2 as PyTorch exports it, int8 against
float32, and JPEG files end to end.

    python -m bench.onnx [FOLDER] [--rounds 5] [--seconds 1.0]

FOLDER holds JPEGs, at any depth (default: ../shared/data/imagenet100 beside the checkout); without any, made-up ones.
Weights are random: they decide no time. Sessions live one at a time, as idle ones disturb, and take turns, round by
round; what counts is the median over the rounds of the ratio within a round. `ratio` is the smallest of batches 1, 8
and 32. Needs torch and efficientnet_pytorch (`make test-peers`).
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from effnet import errors
from effnet.arch.initial import initial_weights
from effnet.arch.layers import shapes
from effnet.data.loader import eval_batches
from effnet.data.presets import eval_preset
from effnet.export import onnx_graph
from effnet.recipe import Evaluate
from effnet.runtimes import int8
from effnet.runtimes.onnx_runtime import Model, logits_of

ROOT = Path(__file__).parents[1]
SIZE, CLASSES, BATCHES = 260, 1000, (1, 8, 32)
SETTINGS = Evaluate(resize=280, crop=SIZE, interpolation="bilinear", batch_size=8)
CALIBRATION = 32


class Files:
    """What the loader needs of a data set, over loose files, or over one made-up picture where there are none."""

    def __init__(self, folder, least):
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        self.pictures = [path.read_bytes() for path in found] or [_made_up()]
        self.names = [str(i) for i in range(max(least, len(self.pictures)))]
        self.labels, self.classes = np.zeros(len(self.names), np.int32), [""] * CLASSES

    def __len__(self):
        return len(self.names)

    def read(self, i):
        return self.pictures[i % len(self.pictures)]


def _made_up():
    file, rng = BytesIO(), np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (47, 63, 3)).astype(np.uint8))
    coarse.resize((500, 375), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def ours(path):
    names = [str(i) for i in range(CLASSES)]
    meta = {"variant": "efficientnet_b2", "class_num": CLASSES, "padding": "same", "image_size": SIZE}
    meta |= {"classes": names, "class_ids": names, "mean": [127.5] * 3, "std": [127.5] * 3}
    meta |= SETTINGS.preprocessing()
    weights = initial_weights(shapes("efficientnet_b2", CLASSES), seed=1)
    onnx_graph.write(path, weights, meta, SIZE, SIZE, opset=21, normalize="outside")


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


def rate(path, batch, seconds):
    """Images per second of a fresh session on normalised pictures."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = len(os.sched_getaffinity(0)), 3
    session = onnxruntime.InferenceSession(str(path), options)
    image = np.random.default_rng(0).standard_normal((batch, 3, SIZE, SIZE), np.float32)
    session.run(None, {"image": image})
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds or count < 2:
        session.run(None, {"image": image})
        count += 1
    return count * batch / (time.perf_counter() - began)


def timed(work, count):
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def end_to_end(path, files):
    """Images per second of decoding alone, of inference alone (normalisation included) and of the two as stage
    onnx_eval does them.
    """
    model, preset, size = Model(path), eval_preset(SETTINGS), SETTINGS.batch_size
    images = [batch.images for batch in eval_batches(files, preset, size)]
    return {
        "decode": timed(lambda: [None for _ in eval_batches(files, preset, size)], len(files)),
        "inference": timed(lambda: [model(batch) for batch in images], len(files)),
        "both": timed(lambda: logits_of(model, files, SETTINGS, size), len(files)),
    }


def in_turns(subjects, rounds):
    """{name: [figure per round]} of functions that take turns."""
    found = {name: [] for name in subjects}
    for turn in range(rounds):
        for name, subject in subjects.items():
            found[name].append(subject())
        print(f"round {turn + 1}: " + ", ".join(f"{n} {shown(v[-1])}" for n, v in found.items()), file=sys.stderr)
    return found


def shown(figure):
    if isinstance(figure, dict):
        return ", ".join(f"{name} {shown(value)}" for name, value in figure.items())
    return f"{figure:.1f}"


def ratio(mine, other):
    return round(statistics.median(a / b for a, b in zip(mine, other, strict=True)), 3)


def measure(folder, rounds, seconds):
    files = Files(folder, 64)
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: Path(scratch) / f"{name}.onnx" for name in ("effnet", "torch", "int8")}
        ours(paths["effnet"])
        theirs(paths["torch"])
        int8.to_int8(paths["int8"], paths["effnet"], int8.calibration_pictures(files, SETTINGS, CALIBRATION))
        rates = {
            batch: in_turns({name: partial(rate, path, batch, seconds) for name, path in paths.items()}, rounds)
            for batch in BATCHES
        }
        turns = in_turns({"end to end": lambda: end_to_end(paths["effnet"], files)}, min(rounds, 3))["end to end"]
    over_torch = {f"batch_{b}": ratio(r["effnet"], r["torch"]) for b, r in rates.items()}
    slower_part = [min(turn["decode"], turn["inference"]) for turn in turns]
    medians = {f"{n}_{b}": round(statistics.median(v), 1) for b, r in rates.items() for n, v in r.items()}
    versions = ("onnxruntime", "onnx", "torch", "efficientnet_pytorch")
    return {
        "bench": "onnx",
        "ratio": min(over_torch.values()),
        "peer": "B2 exported by torch.onnx from efficientnet_pytorch, same ONNX Runtime; "
        "the smallest of batches 1, 8 and 32",
        "goal": 1.05,
        "measured": {
            "what": f"efficientnet_b2 at {SIZE}, {len(os.sched_getaffinity(0))} threads",
            "images_per_second": medians,
            "over_torch": over_torch,
            "int8_over_float32": {f"batch_{b}": ratio(r["int8"], r["effnet"]) for b, r in rates.items()},
            "int8_over_float32_goal": 1.5,
            "end_to_end_over_slower_part": ratio([turn["both"] for turn in turns], slower_part),
            "end_to_end_over_slower_part_goal": 0.9,
            "end_to_end_images_per_second": {n: round(statistics.median(t[n] for t in turns), 1) for n in turns[0]},
            "vnni": any(name in Path("/proc/cpuinfo").read_text() for name in ("avx512_vnni", "avx_vnni")),
        },
        "versions": {name: importlib.metadata.version(name) for name in versions},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=ROOT.parent / "shared" / "data" / "imagenet100")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each session in each round")
    arguments = parser.parse_args()
    print(json.dumps(measure(**vars(arguments))))


if __name__ == "__main__":
    errors.run(main)
