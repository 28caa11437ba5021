"""One training step of B2 on a CPU: this project's compiled graph against PyTorch's ways to do the same.

    python -m bench.train_step [--rounds 5] [--seconds 2]

At 260 pixels with batches of 8 and 32, and at the demo's 48 pixels with a batch of 32. All take the same uint8 batch
and do all that a step does: normalise, forward, smoothed loss, gradients, RMSProp; all but autocast in float32.
PyTorch's network is efficientnet_pytorch's with nn.SiLU, which is faster than its default. Its compiler's cache is
kept between processes; the first of them takes minutes.
"""

import contextlib
import json
import os
import resource

import numpy as np

from bench import rounds
from bench.rounds import ROOT, each

CASES = (
    {"size": 260, "batch": 8, "classes": 1000},
    {"size": 260, "batch": 32, "classes": 1000},
    {"size": 48, "batch": 32, "classes": 10},
)
TINY = ({"size": 32, "batch": 2, "classes": 10},)
RECIPE = ROOT / "recipes/ascend1.yaml"  # RMSProp and label smoothing as the original has them


def batch_of(size, batch, classes):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, size, size, 3)).astype(np.uint8)
    return images, random.integers(0, classes, batch).astype(np.int32)


def ours(size, batch, classes):
    """A function that does one step."""
    from effnet import recipe
    from effnet.data.loader import Batch
    from effnet.network import device, efficientnet
    from effnet.training import step as steps

    device.start("CPU")
    params = recipe.load(RECIPE)
    train = params.train.model_copy(update={"amp_level": "O0", "device_target": "CPU", "accumulate": 1})
    model = params.model.model_copy(update={"class_num": classes})
    params = params.model_copy(update={"train": train, "model": model})
    net = efficientnet.create(params.model, seed=1)
    step, _ = steps.create(net, net.trainable_params(), params)
    images, labels = batch_of(size, batch, classes)
    full = Batch(images, labels, labels, np.ones(batch, np.float32), np.arange(batch))
    return lambda: steps.mean_loss(step(full, (None, None), 1.0, 1e-4, 0.0)[0])


def torch(size, batch, classes, channels_last=False, backend=None, bfloat16=False):
    import torch
    from efficientnet_pytorch import EfficientNet
    from torch.nn import functional as F

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = EfficientNet.from_name("efficientnet-b2", num_classes=classes, dropout_rate=0.0, drop_connect_rate=0.0)
    net.set_swish(memory_efficient=False)
    net = net.train().to(memory_format=layout)
    answer = torch.compile(net, backend=backend) if backend else net
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-4, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
    images, labels = batch_of(size, batch, classes)
    labels = torch.tensor(labels).long()
    precision = torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext()

    def step():
        x = ((torch.tensor(images).float() - 127.5) / 127.5).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        optimizer.zero_grad()
        with precision:
            loss = F.cross_entropy(answer(x), labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


PEERS = {
    "PyTorch eager": {},
    "PyTorch channels_last": {"channels_last": True},
    "torch.compile": {"backend": "inductor"},
    "torch.compile, channels_last": {"backend": "inductor", "channels_last": True},
    "PyTorch bfloat16 autocast, channels_last": {"bfloat16": True, "channels_last": True},
}


def side(name, case, seconds, tiny):
    """{"rate": images a second, "per_gib": the inverse of this process's peak memory}."""
    way = PEERS.get(name, {})
    if tiny and "backend" in way:
        way = way | {"backend": "eager"}  # its own compiler takes a minute, however small the network
    step = torch(**case, **way) if name in PEERS else ours(**case)
    step()  # compiled, and allocators warm
    rate = rounds.repeat(step, seconds, least=1)
    return {"rate": rate * case["batch"], "per_gib": 2**20 / resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def main():
    parser = rounds.arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="of each side in each round, and a step at least")
    args = parser.parse_args()
    seconds = 0 if args.tiny else args.seconds
    if args.side:
        print(json.dumps(side(args.side, args.case, seconds, args.tiny)))
        return 0
    turns, rows = rounds.Turns("bench.train_step", args), []
    for case in TINY if args.tiny else CASES:
        found = turns(("ours", *PEERS), case, ["--seconds", seconds])
        what, mine = "B2 at {size}, batch {batch}".format(**case), found["ours"]
        for peer in PEERS:
            rows.append(rounds.row(f"training step, {what}", peer, each(mine), each(found[peer])))
            pair = each(mine, "per_gib"), each(found[peer], "per_gib")
            rows.append(rounds.row(f"peak memory of the same, {what}", peer, *pair, goal=0.83, unit="steps/GiB"))
    packages = ("mindspore", "torch", "efficientnet_pytorch")
    print(json.dumps(turns.result("train_step", rows, packages)))
    return 0


if __name__ == "__main__":
    rounds.program(main)
