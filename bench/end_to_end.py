"""From a JPEG file to an answer: B2 at 260 pixels by this project's runtimes and by a plain PyTorch script.

    python -m bench.end_to_end [FOLDER] [--rounds 5] [--pictures 200]

One picture: read, decoded, resampled, classified, and only then the next; the time of the half and of 99 of 100.
A folder: all pictures, batches of 8, the next ones being decoded meanwhile; beside it the slower of the two parts
alone, and both parts one after the other, which is as much as the same cores can do where both keep all of them busy.
Models are loaded and warm. The C++ program has no way to wait for one picture: its time of one is that of decoding and
inference at batch 1, the next one being decoded meanwhile. PyTorch's script is Pillow, torchvision's transforms and
network, and for the folder its DataLoader with as many workers as cores. The JPEGs of FOLDER are repeated; without any,
a made-up one is. Weights are random: they decide no time.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from bench import rounds
from bench.onnx import FLOAT32, SETTINGS, SIZE, jpegs, made_up, model, ours
from bench.rounds import each
from effnet.devices import machine
from effnet.errors import InputError
from effnet.files import write_json

BATCH, WARM = 8, 5
MINDIR, META, PROGRAM = "effnet.mindir", "effnet.json", "build/effnet310"


class Loose:
    """What the loader needs of a data set, over loose files."""

    def __init__(self, paths, classes):
        self.names, self.labels, self.classes = paths, np.zeros(len(paths), np.int32), classes

    def __len__(self):
        return len(self.names)

    def read(self, i):
        return self.names[i].read_bytes()


def timed(answer, paths):
    """{"p50", "p99": pictures a second at the median and at the 99th percentile of one picture's time}."""
    times = []
    for path in paths[:WARM] + paths:
        began = time.perf_counter()
        answer(path)
        times.append(time.perf_counter() - began)
    half, most = np.percentile(times[WARM:], (50, 99))
    return {"p50": 1 / half, "p99": 1 / most}


def rate(work, count):
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def python(model, paths):
    """One by one as `effnet predict` does, a folder as stage onnx_eval does; and the two halves of that alone."""
    from effnet.cli import predict
    from effnet.data.loader import eval_batches
    from effnet.data.presets import eval_preset
    from effnet.runtimes.exported import logits_of

    known = (model, model.meta, SIZE)
    found = timed(lambda path: list(predict.predict(known, [path])), paths)
    data, preset = Loose(paths, model.meta["classes"]), eval_preset(SETTINGS)
    batches = [batch.images for batch in eval_batches(data, preset, BATCH)]
    model(batches[0])
    return found | {
        "folder": rate(lambda: logits_of(model, data, SETTINGS, BATCH), len(data)),
        "decoding": rate(lambda: list(eval_batches(data, preset, BATCH)), len(data)),
        "inference": rate(lambda: [model(images) for images in batches], len(data)),
    }


def onnx_runtime(scratch, paths):
    from effnet.runtimes.onnx_runtime import Model

    return python(Model(scratch / FLOAT32), paths)


def openvino_bfloat16(scratch, paths):
    from effnet.runtimes.openvino import Model

    return python(Model(scratch / FLOAT32, "bfloat16"), paths)


def cpp(scratch, paths):
    """effnet310 over the folder: at batch 1 what a picture takes, at batch 8 the rate."""

    def report(batch):
        command = [scratch / PROGRAM, "--model", scratch / MINDIR, "--meta", scratch / META]
        command += ["--input", scratch / "pictures", "--batch", batch, "--json", scratch / "report.json"]
        subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr)
        return json.loads((scratch / "report.json").read_text())

    one = report(1)["latency_ms"]["answer_per_image"]
    return {"p50": 1000 / one["median"], "p99": 1000 / one["p99"], "folder": report(BATCH)["images_per_second"]}


def torchvision(scratch, paths):
    from tests.peers.nets import _torchvision

    _torchvision()
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader
    from torchvision import models
    from torchvision import transforms as T

    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    net = models.efficientnet_b2(weights=None).eval()
    look = T.Compose([T.Resize(SETTINGS.resize), T.CenterCrop(SIZE), T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)])

    class Pictures(torch.utils.data.Dataset):
        def __len__(self):
            return len(paths)

        def __getitem__(self, i):
            return look(Image.open(paths[i]).convert("RGB"))

    with torch.inference_mode():

        def answer(path):
            return net(look(Image.open(path).convert("RGB"))[None]).softmax(1).topk(5)

        def folder():
            return [net(images).softmax(1).topk(5) for images in DataLoader(Pictures(), BATCH, num_workers=cores)]

        return timed(answer, paths) | {"folder": rate(folder, len(paths))}


def files(scratch, paths, count):
    """Write the models, and links to `count` pictures; what of it there cannot be, {side: why}."""
    (scratch / "pictures").mkdir()
    if not paths:
        (scratch / "made_up.jpg").write_bytes(made_up())
        paths = [scratch / "made_up.jpg"]
    for i in range(count):
        (scratch / f"pictures/{i:05d}.jpg").symlink_to(paths[i % len(paths)].resolve())
    ours(scratch / FLOAT32)
    try:
        for_cpp(scratch)
    except InputError as why:
        return {CPP: str(why)}
    return {}


def for_cpp(scratch):
    from effnet.runtimes import infer310

    infer310.build(scratch / "build", infer310.mindspore_lite())
    from effnet.mindir.version_1 import to_version_1
    from effnet.mindir.write import write
    from effnet.network import device

    device.start("CPU")
    weights, meta = model()
    write(scratch / "version3.mindir", weights, meta, SIZE, SIZE)
    to_version_1(scratch / "version3.mindir", scratch / MINDIR)
    write_json(scratch / META, meta | {"height": SIZE, "width": SIZE})


ORT, OPENVINO, CPP, TORCH = "ONNX Runtime", "OpenVINO, bfloat16", "the C++ program", "PyTorch + torchvision"
SIDES = {ORT: onnx_runtime, OPENVINO: openvino_bfloat16, CPP: cpp, TORCH: torchvision}
WHAT = {"p50": "one picture, the half of them", "p99": "one picture, 99 of 100", "folder": "a folder"}


def missing():
    """{side: why it cannot run here}, as far as it shows without trying."""
    if not importlib.util.find_spec("openvino"):
        return {OPENVINO: "openvino is not installed"}
    if "avx512_bf16" not in machine.flags():
        return {OPENVINO: "this processor has no bfloat16"}
    return {}


def main():
    parser = rounds.arguments(__doc__, folder=True)
    parser.add_argument("--pictures", type=int, default=200)
    args = parser.parse_args()
    if args.side == "files":
        print(json.dumps(files(args.scratch, jpegs(args.folder), args.case)))
        return 0
    if args.side:
        paths = sorted((args.scratch / "pictures").iterdir())
        print(json.dumps(SIDES[args.side](args.scratch, paths)))
        return 0
    turns, rows = rounds.Turns("bench.end_to_end", args), []
    with tempfile.TemporaryDirectory() as scratch:
        also = [args.folder, "--scratch", scratch]
        without = missing() | turns.prepare("files", 8 if args.tiny else args.pictures, also)
        found = turns([side for side in SIDES if side not in without], also=also)
    for side in SIDES:
        for key, what in WHAT.items() if side != TORCH else ():
            what = f"JPEG to answer, {what}: {side}"
            if side in without:
                rows.append(rounds.absent(what, TORCH, without[side]))
            else:
                rows.append(rounds.row(what, TORCH, each(found[side], key), each(found[TORCH], key)))
        if "decoding" in found.get(side, [{}])[0]:
            slower = [min(answer["decoding"], answer["inference"]) for answer in found[side]]
            what = f"JPEG to answer, a folder: {side}"
            rows.append(rounds.row(what, "its slower part alone", each(found[side], "folder"), slower, goal=0.95))
            shared = [1 / (1 / answer["decoding"] + 1 / answer["inference"]) for answer in found[side]]
            peer = "its two parts, each with all cores, one after the other"
            rows.append(rounds.row(what, peer, each(found[side], "folder"), shared))
    packages = ["onnxruntime", "torch", "torchvision", "pillow"] + ["openvino"] * (OPENVINO in found)
    print(json.dumps(turns.result("end_to_end", rows, packages)))
    return 0


if __name__ == "__main__":
    rounds.program(main)
