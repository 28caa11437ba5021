"""What bench/gpu.py measures on a card: a function each, called in a process of its own, on a CPU too.

Each takes the command line's arguments and returns what JSON can hold. args.case says which of its kind is wanted.
Rates are images a second in WINDOWS stretches of time, after a warm-up.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from effnet.recipe import load

ROOT = Path(__file__).parents[1]
MEAN = STD = 127.5
WINDOWS, SECONDS, WARM = 5, 1.0, 8
COMPARED = 32  # pictures whose logits are compared with the CPU's


def export(args):
    """The ONNX file with random weights, which decide no time."""
    from bench import onnx

    onnx.ours(args.onnx, args.variant, args.size)
    return {}


def infer_onnx(args):
    """{"rates": {batch: [...]}} from normalised float32 pictures on the host to logits on the host, how far the logits
    are `off` the CPU's and what `limit` parity sets, how many nodes each provider took.

    Raises InputError where the provider is not in use.
    """
    from effnet.comparison import parity
    from effnet.runtimes.onnx_runtime import Model

    provider, tf32 = args.case["provider"], args.case["tf32"]
    model, images = Model(args.onnx, provider, tf32=tf32), normalized(2 if args.tiny else COMPARED, args.size)
    # one by one: TensorRT builds an engine anew for each larger batch, which takes a minute
    mine = np.concatenate([logits(model, images[i : i + 1]) for i in range(len(images))])
    exact = logits(Model(args.onnx, "CPU"), images)
    if tf32:
        found = {"off": parity.off(mine, exact), "limit": parity.LIMITS["tf32"]}
    else:
        found = {"off": float(parity.shares(mine, exact).max()), "limit": parity.TOLERANCE}
    if provider != "TensorRT":  # another engine
        found["nodes"] = nodes(model.provider, args.onnx, images[:1])
    return rates(lambda image: lambda: logits(model, image), args, found)


def logits(model, image):
    return model.session.run(["logits"], {"image": image})[0]


def nodes(provider, path, image):
    """{provider: nodes of the graph that it ran}: a provider leaves to the CPU what it cannot do, and says nothing."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling, options.profile_file_prefix = True, str(Path(path).with_suffix(""))
    session = onnxruntime.InferenceSession(path, options, providers=[provider])
    session.run(["logits"], {"image": image})
    profile = Path(session.end_profiling())
    events = json.loads(profile.read_text())
    profile.unlink()
    ran = [event["args"]["provider"] for event in events if event["cat"] == "Node" and "provider" in event["args"]]
    return {name: ran.count(name) for name in sorted(set(ran))}


def infer_torch(args):
    """{"rates": {batch: [...]}} of the same by efficientnet_pytorch, channels_last, with or without torch.compile."""
    import torch

    place, net = device(args), peer(args).eval()
    rounded(args.case["tf32"])
    if args.case["compiled"]:
        net = torch.compile(net, dynamic=False, backend="eager" if args.tiny else "inductor")

    def of(image):
        image = torch.from_numpy(image)

        def one():
            with torch.inference_mode():
                net(image.to(place, memory_format=torch.channels_last)).cpu()

        return one

    return rates(of, args, {"torch": torch.__version__})


def rates(of, args, answer):
    """The answer with {"rates": {batch: [...]}} of the calls that of(pictures) returns; printed after each batch, in
    case time runs out.
    """
    answer["rates"] = {}
    for batch in args.batches:
        answer["rates"][batch] = windows(of(normalized(batch, args.size)), batch, args)
        print(json.dumps(answer), flush=True)
    return answer


def rounded(allowed):
    """Whether PyTorch may round float32 products to TF32: cuDNN does unless told otherwise, cuBLAS does not."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def train_torch(args):
    """{"rates": [...]} of whole training steps from uint8 pictures on the host: efficientnet_pytorch, AMP float16,
    channels_last, RMSProp, label smoothing.
    """
    import torch

    place, net = device(args), peer(args).train()
    rounded(True)
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-4, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
    scaler = torch.amp.GradScaler(place.type, enabled=args.device == "GPU")
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    images, labels = pictures(args.batch, args.size)
    images, labels = torch.from_numpy(images), torch.from_numpy(labels).long()
    loss = None

    def one():
        nonlocal loss
        x, y = images.to(place), labels.to(place)
        x = ((x.float() - MEAN) / STD).permute(0, 3, 1, 2)  # of NHWC pictures: channels_last already
        with torch.autocast(place.type, torch.float16, enabled=args.device == "GPU"):
            loss = criterion(net(x), y)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    found = windows(one, args.batch, args, wait=lambda: loss.item())
    return {"rates": found, "loss": loss.item(), "torch": torch.__version__}


def device(args):
    import torch

    return torch.device("cuda" if args.device == "GPU" else "cpu")


def peer(args):
    """efficientnet_pytorch's network on the device; the toy is a B0 as narrow and shallow as ours."""
    import torch
    from efficientnet_pytorch import EfficientNet

    torch.backends.cudnn.benchmark = True
    toy = {"width_coefficient": 0.25, "depth_coefficient": 0.1} if args.tiny else {}
    name = "efficientnet-b0" if args.tiny else args.variant.replace("_", "-")
    net = EfficientNet.from_name(name, image_size=args.size, drop_connect_rate=0.0, **toy)
    net.set_swish(memory_efficient=False)  # the faster one; the default saves memory
    return net.to(device(args), memory_format=torch.channels_last)


def fed(args):
    """{"rates": [...]} at which the machine's cores decode and augment pictures, the whole recipe."""
    from bench import feed, onnx

    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "made_up.jpg").write_bytes(onnx.made_up())
        folder, steps = args.pictures or scratch, 2 if args.tiny else 10
        once = [feed.side(folder, "whole_recipe", 1, args.batch, steps) for _ in range(1 if args.tiny else WINDOWS)]
    return {"rates": [each["rate"] for each in once]}


def start(args):
    """{"seconds": until MindSpore has added two numbers on the device}: the driver compiles for new cards then."""
    import mindspore as ms

    from effnet.network import device

    began = time.perf_counter()
    device.start(args.device, deterministic=False)
    one = ms.Tensor(np.ones(1, np.float32))
    assert (one + one).asnumpy()[0] == 2
    return {"seconds": round(time.perf_counter() - began, 1)}


def twenty_steps(args):
    """Twenty training steps on the device against the stored float64 reference; tiny: only whether they are there."""
    command = [sys.executable, "-m", "pytest", "-m", "not peers", "-k", "twenty", "tests/training/test_step.py"]
    command += ["--collect-only"] if args.tiny else []
    env = os.environ | {"EFFNET_TEST_DEVICE": args.device, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    print(done.stdout, done.stderr, file=sys.stderr)
    return {"passed": done.returncode == 0, "pytest": done.stdout.strip().splitlines()[-1]}


def train_mindspore(args):
    """{"rates": [...]} of our whole training steps from uint8 pictures on the host, in the recipe's precision."""
    from effnet.data.loader import Batch
    from effnet.network import device, efficientnet
    from effnet.training import step as steps

    device.start(args.device, deterministic=False)
    recipe = changed(load(ROOT / "recipes/gpu1.yaml"), "model", variant=args.variant, image_size=args.size)
    recipe = changed(recipe, "train", device_target=args.device, amp_level="O2" if args.device == "GPU" else "O0")
    net = efficientnet.create(recipe.model, amp_level=recipe.train.amp_level)
    step, _ = steps.create(net, net.trainable_params(), recipe)
    images, labels = pictures(args.batch, args.size)
    batch = Batch(images, labels, labels, np.ones(len(labels), np.float32), np.arange(len(labels)))
    last = None

    def one():
        nonlocal last
        last, _ = step(batch, (None, None), recipe.train.loss_scale, 1e-4, 0.0)

    found = windows(one, args.batch, args, wait=lambda: steps.mean_loss(last))
    return {"rates": found, "amp_level": recipe.train.amp_level, "loss": steps.mean_loss(last)}


def demo(args):
    """The demo's recipe with its device, through every stage up to parity between all runtimes; tiny: the smallest
    recipe's first stages.
    """
    from bench import sides

    params = yaml.safe_load(Path(ROOT, "recipes/smoke.yaml" if args.tiny else "params.yaml").read_text())
    params["train"]["device_target"] = args.device
    params["onnx"]["provider"] = "CUDA" if args.device == "GPU" else "CPU"
    stages = "prepare train evaluate export quantize onnx_eval build310 infer310 parity".split()
    with sides.pipeline(params, stages[:1] if args.tiny else stages) as work:
        found = [Path(work, "metrics", name) for name in ("evaluate.json", "parity.json")]
        return {path.stem: json.loads(path.read_text()) for path in found if path.exists()}


def pictures(batch, size):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, size, size, 3)).astype(np.uint8)
    return images, random.integers(0, 1000, batch).astype(np.int32)


def normalized(batch, size):
    images = pictures(batch, size)[0].astype(np.float32)
    return np.ascontiguousarray(((images - MEAN) / STD).transpose(0, 3, 1, 2))


def windows(one, images, args, wait=lambda: None):
    """Images a second of `one()`, of so many, in each window; `wait()` returns when the device is done."""
    for _ in range(1 if args.tiny else WARM):
        one()
    wait()
    found = []
    for _ in range(1 if args.tiny else WINDOWS):
        began, count = time.perf_counter(), 0
        while not count or (not args.tiny and time.perf_counter() - began < SECONDS):
            one()
            count += 1
        wait()
        found.append(images * count / (time.perf_counter() - began))
    return found


def changed(recipe, section, **values):
    return recipe.model_copy(update={section: getattr(recipe, section).model_copy(update=values)})


PARTS = {
    part.__name__: part
    for part in (export, infer_onnx, infer_torch, train_torch, fed, start, twenty_steps, train_mindspore, demo)
}
