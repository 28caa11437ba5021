"""EfficientNet-B2 at 260 pixels on one NVIDIA card, in one run: MindSpore's training against PyTorch's, ONNX Runtime
against PyTorch, parity.

bench/gpu.sh prepares the peers and calls this. Every measurement is a process of its own, because CUDA 11 (MindSpore),
CUDA 12 (ONNX Runtime) and PyTorch's CUDA do not share one; ours and the peer's take turns.
`python -m bench.gpu --device CPU --tiny` goes through all of it without a card.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

from effnet import errors
from effnet.devices import cuda
from effnet.devices.messages import CONTEXT, picture_bytes
from effnet.recipe import load

ROOT = Path(__file__).parents[1]
MEAN = STD = 127.5


def train_mindspore(args):
    """Images per second of whole training steps from uint8 pictures on the host, in the recipe's precision."""
    from effnet.data.loader import Batch
    from effnet.export import onnx_graph
    from effnet.network import device, efficientnet
    from effnet.training import step as steps

    device.start(args.device, deterministic=False)
    recipe = changed(load(ROOT / "recipes/gpu1.yaml"), "model", variant=args.variant, image_size=args.size)
    recipe = changed(recipe, "train", device_target=args.device, amp_level="O2" if args.device == "GPU" else "O0")
    net = efficientnet.create(recipe.model, amp_level=recipe.train.amp_level)
    step, _ = steps.create(net, net.trainable_params(), recipe)
    images, labels = pictures(args)
    batch = Batch(images, labels, labels, np.ones(len(labels), np.float32), np.arange(len(labels)))
    last = None

    def one():
        nonlocal last
        last, _ = step(batch, (None, None), recipe.train.loss_scale, 1e-4, 0.0)

    rate = measure(one, lambda: steps.mean_loss(last), args)
    weights = {p.name: p.asnumpy() for p in net.get_parameters()}
    classes = [str(i) for i in range(recipe.model.class_num)]
    meta = recipe.model.model_dump() | {"classes": classes, "class_ids": classes, "mean": [MEAN] * 3, "std": [STD] * 3}
    meta |= {"resize": args.size, "crop": args.size, "interpolation": "bilinear"}
    Path(args.onnx).write_bytes(onnx_graph.build(weights, meta, args.size, args.size).SerializeToString())
    return {"images_per_second": rate, "amp_level": recipe.train.amp_level, "loss": steps.mean_loss(last)}


def train_torch(args):
    """The same of efficientnet_pytorch: AMP float16, channels_last, RMSProp, label smoothing."""
    import torch

    gpu, net = args.device == "GPU", peer(args).train()
    place = torch.device("cuda" if gpu else "cpu")
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-4, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
    scaler = torch.amp.GradScaler(place.type, enabled=gpu)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    images, labels = pictures(args)
    images, labels = torch.from_numpy(images), torch.from_numpy(labels).long()
    loss = None

    def one():
        nonlocal loss
        x, y = images.to(place), labels.to(place)
        x = ((x.float() - MEAN) / STD).permute(0, 3, 1, 2)  # of NHWC pictures: channels_last already
        with torch.autocast(place.type, torch.float16, enabled=gpu):
            loss = criterion(net(x), y)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    rate = measure(one, lambda: loss.item(), args)
    return {"images_per_second": rate, "loss": loss.item(), "torch": torch.__version__}


def infer_torch(args):
    """Images per second from float32 NCHW pictures on the host to logits on the host, in float32 (TF32 allowed) and
    in AMP.
    """
    import torch

    gpu, net = args.device == "GPU", peer(args).eval()
    place, found = torch.device("cuda" if gpu else "cpu"), {}
    image = torch.from_numpy(normalized(args))
    for name in ("float32", "amp") if gpu else ("float32",):

        def one(half=name == "amp"):
            with torch.inference_mode(), torch.autocast(place.type, torch.float16, enabled=half):
                net(image.to(place, memory_format=torch.channels_last)).float().cpu()

        found[name] = measure(one, lambda: None, args)
    return found


def infer_onnx(args):
    """The same of our ONNX file under ONNX Runtime; raises InputError where the provider is not in use.

    Nodes are counted by provider.
    """
    import onnxruntime

    from effnet.runtimes.onnx_runtime import PROVIDERS, Model

    model = Model(args.onnx, args.provider)
    image = normalized(args)
    rate = measure(lambda: model.session.run(["logits"], {"image": image}), lambda: None, args)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling, options.profile_file_prefix = True, str(Path(args.onnx).with_suffix(""))
    profiled = onnxruntime.InferenceSession(args.onnx, options, providers=[PROVIDERS[args.provider]])
    profiled.run(["logits"], {"image": image})
    events = json.loads(Path(profiled.end_profiling()).read_text())
    nodes = [event["args"]["provider"] for event in events if event["cat"] == "Node" and "provider" in event["args"]]
    return {"images_per_second": rate, "nodes": {provider: nodes.count(provider) for provider in sorted(set(nodes))}}


def parity(args):
    """Twenty training steps on the device against the stored float64 reference."""
    command = [sys.executable, "-m", "pytest", "-m", "not peers", "-k", "twenty", "tests/training/test_step.py"]
    command += ["--collect-only"] if args.tiny else []
    env = os.environ | {"EFFNET_TEST_DEVICE": args.device}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    return {"passed": done.returncode == 0, "pytest": done.stdout.strip().splitlines()[-1]}


def peer(args):
    import torch
    from efficientnet_pytorch import EfficientNet

    torch.backends.cudnn.benchmark = True
    net = EfficientNet.from_name(args.peer, image_size=args.size, drop_connect_rate=0.0)
    net.set_swish(memory_efficient=False)  # the faster one; the default saves memory
    return net.to("cuda" if args.device == "GPU" else "cpu", memory_format=torch.channels_last)


def pictures(args):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (args.batch, args.size, args.size, 3)).astype(np.uint8)
    return images, random.integers(0, 1000, args.batch).astype(np.int32)


def normalized(args):
    images = pictures(args)[0][: args.infer_batch].astype(np.float32)
    return np.ascontiguousarray(((images - MEAN) / STD).transpose(0, 3, 1, 2))


def measure(one, wait, args):
    """Images per second of `one()` after warm-up; `wait()` returns when the device is done."""
    images = args.batch if args.part.startswith("train") else args.infer_batch
    for _ in range(1 if args.tiny else 8):
        one()
    wait()
    began, count = time.perf_counter(), 0
    while count < (1 if args.tiny else 20) or (not args.tiny and time.perf_counter() - began < 10):
        one()
        count += 1
    wait()
    return images * count / (time.perf_counter() - began)


def changed(recipe, section, **values):
    return recipe.model_copy(update={section: getattr(recipe, section).model_copy(update=values)})


PARTS = {f.__name__: f for f in (train_mindspore, train_torch, infer_torch, infer_onnx, parity)}


def run(part, python, deadline, args, **more):
    """A part in a process of its own: its dictionary, or {"failed": the last line it said}."""
    options = {"device": args.device, "batch": args.batch, "infer_batch": args.infer_batch, "onnx": args.onnx} | more
    command = [python, "-m", "bench.gpu", "--part", part, *(["--tiny"] if args.tiny else [])]
    command += [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    print(f"{part} {more or ''}", file=sys.stderr, flush=True)
    left = max(1, deadline - time.monotonic())
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        return {"failed": "out of time"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(args):
    """Every measurement, ours and the peer's in turn; a dictionary of what came."""
    deadline = time.monotonic() + 60 * args.minutes
    turns = {"train_mindspore": [], "train_torch": []}
    for _ in range(1 if args.tiny else 2):
        turns["train_mindspore"].append(run("train_mindspore", sys.executable, deadline, args))
        turns["train_torch"].append(run("train_torch", args.torch_python, deadline, args))
    found = {name: best(results) for name, results in turns.items()}
    found["infer_torch"] = run("infer_torch", args.torch_python, deadline, args)
    if Path(args.onnx).is_file():
        for provider in ("CUDA", "TensorRT") if args.device == "GPU" else ("CPU",):
            found[f"infer_onnx_{provider}"] = run("infer_onnx", sys.executable, deadline, args, provider=provider)
    found["parity"] = run("parity", sys.executable, deadline, args)
    return found


def best(results):
    """The median of the turns' rates, and each, beside the last turn's other figures; a failure if all failed."""
    good = [r for r in results if "failed" not in r]
    if not good:
        return results[-1]
    rates = [r["images_per_second"] for r in good]
    return good[-1] | {"images_per_second": statistics.median(rates), "turns": rates}


def table_rows(found, args):
    """The lines of docs/performance.md: training beside PyTorch's AMP, inference beside its float32."""
    from bench import rounds  # needs psutil, which PyTorch's environment has not

    what = f"training {args.variant} at {args.size}, batch {args.batch}, mixed precision"
    mine, other = found["train_mindspore"], found["train_torch"]
    peer = "PyTorch AMP channels_last"
    if "failed" in mine or "failed" in other:
        rows = [rounds.absent(what, peer, mine.get("failed") or other["failed"])]
    else:
        turns = list(zip(mine["turns"], other["turns"], strict=False))
        rows = [rounds.row(what, peer, *([pair[k] for pair in turns] for k in (0, 1)))]
    for name in (name for name in found if name.startswith("infer_onnx")):
        provider = name.removeprefix("infer_onnx_")
        what = f"ONNX Runtime, {provider}, {args.variant} at {args.size}, batch {args.infer_batch}"
        sides = found[name].get("images_per_second"), found["infer_torch"].get("float32")
        if all(sides):
            rows.append(rounds.row(what, "PyTorch, TF32 allowed", [sides[0]], [sides[1]]))
        else:
            failed = found[name].get("failed") or found["infer_torch"]["failed"]
            rows.append(rounds.absent(what, "PyTorch, TF32 allowed", failed))
    return rows


def machine(args):
    version, cards = cuda.driver() if args.device == "GPU" else (None, [])
    packages = ("mindspore", "onnxruntime", "onnxruntime-gpu", "numpy")
    versions = {d.name: d.version for d in importlib.metadata.distributions() if d.name in packages}
    if not cards:
        return versions | {"card": "none: CPU"}
    return versions | {"card": cards[0].name, "driver_cuda": ".".join(map(str, version))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["GPU", "CPU"], default="GPU")
    parser.add_argument("--tiny", action="store_true", help="the smallest sizes, one step: is it all still in order?")
    peers = "the interpreter that has torch and efficientnet_pytorch"
    parser.add_argument("--torch-python", default=sys.executable, help=peers)
    parser.add_argument("--minutes", type=float, default=15, help="stop starting and waiting after so long")
    for hidden, kind in (("part", str), ("batch", int), ("infer-batch", int), ("onnx", str), ("provider", str)):
        parser.add_argument(f"--{hidden}", type=kind, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.variant, args.peer, args.size = "efficientnet_b2", "efficientnet-b2", 260
    if args.tiny:
        args.variant, args.peer, args.size = "efficientnet_toy", "efficientnet-b0", 32
    if args.part:
        print(json.dumps(PARTS[args.part](args)))
        return 0
    args.infer_batch = 2 if args.tiny else 32
    args.batch = 4 if args.tiny else batch_that_fits(args)
    with tempfile.TemporaryDirectory() as scratch:
        args.onnx = str(Path(scratch, "model.onnx"))
        found = table(args)
    for name, result in found.items():
        rounded = {k: round(v) if isinstance(v, float) and k != "loss" else v for k, v in result.items()}
        print(f"{name:22s} " + "  ".join(f"{key} {value}" for key, value in rounded.items()))
    rows = table_rows(found, args)
    result = {
        "bench": "gpu",
        "ratio": rows[0].get("ratio"),
        "rows": rows,
        "measured": found,
        "versions": (about := machine(args)),
        "machine": about["card"],
        "day": date.today().isoformat(),
    }
    print(json.dumps(result))
    return 0


def batch_that_fits(args):
    """The recipe's 128 on one card, or the largest power of two that its memory holds, for both sides."""
    if args.device == "CPU":
        return 8
    model, memory = load(ROOT / "recipes/gpu1.yaml").model, min(card.memory for card in cuda.driver()[1])
    fits = (0.9 * memory - CONTEXT) / picture_bytes(model, "O2")
    return max(b for b in (1, 2, 4, 8, 16, 32, 64, 128) if b <= max(1, fits))


if __name__ == "__main__":
    errors.run(main)
