"""One training step of B2 at 260 pixels, batch 8, float32: this project's compiled graph against PyTorch eager.

    python -m bench.train_step [--rounds 5] [--steps 3] [--size 260] [--batch 8]

Both take the same uint8 batch and do all that a step does: normalise, forward, smoothed loss, gradients, RMSProp. Each
is a process of its own, so that its peak memory is its own; they work in turn, round by round, the other one stopped
meanwhile so that its idle threads do not spin. What counts is the median over the rounds of the ratio within a round.
Needs torch and efficientnet_pytorch (`make test-peers`).
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from effnet import errors
from effnet.errors import InputError

ROOT = Path(__file__).parents[1]
CLASSES = 1000
RECIPE = ROOT / "recipes/ascend1.yaml"  # RMSProp and label smoothing as the original has them


def batch_of(size, batch):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, size, size, 3)).astype(np.uint8)
    return images, random.integers(0, CLASSES, batch).astype(np.int32)


def ours(size, batch):
    """A function that does one step."""
    from effnet import recipe
    from effnet.data.loader import Batch
    from effnet.network import device, efficientnet
    from effnet.training import step as steps

    device.start("CPU")
    params = recipe.load(RECIPE)
    train = params.train.model_copy(update={"amp_level": "O0", "device_target": "CPU", "accumulate": 1})
    params = params.model_copy(update={"train": train})
    net = efficientnet.create(params.model, seed=1)
    step, _ = steps.create(net, net.trainable_params(), params)
    images, labels = batch_of(size, batch)
    full = Batch(images, labels, labels, np.ones(batch, np.float32), np.arange(batch))
    return lambda: steps.mean_loss(step(full, (None, None), 1.0, 1e-4, 0.0)[0])


def torch(size, batch, channels_last=False):
    import torch
    from efficientnet_pytorch import EfficientNet
    from torch.nn import functional as F

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = EfficientNet.from_name("efficientnet-b2", num_classes=CLASSES, dropout_rate=0.0, drop_connect_rate=0.0)
    net = net.train().to(memory_format=layout)
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-4, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
    images, labels = batch_of(size, batch)
    labels = torch.tensor(labels).long()

    def step():
        x = ((torch.tensor(images).float() - 127.5) / 127.5).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_channels_last(size, batch):
    return torch(size, batch, channels_last=True)


SIDES = {"effnet": ours, "torch": torch, "torch channels_last": torch_channels_last}


def serve(name, size, batch):
    """In a process of its own: for each number read, do so many steps, print seconds a step and peak memory in MiB."""
    step = SIDES[name](size, batch)
    step()  # compiled, and allocators warm
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            step()
        seconds = (time.perf_counter() - began) / int(line)
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps a round")
    parser.add_argument("--size", type=int, default=260)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--serve", choices=list(SIDES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve, args.size, args.batch)
    seconds, memory = in_turns(args)

    def ratio(peer):
        pairs = zip(seconds[peer], seconds["effnet"], strict=True)
        return round(statistics.median(theirs / mine for theirs, mine in pairs), 3)

    isa = os.environ.get("ONEDNN_MAX_CPU_ISA") or "set by effnet.network where the host has AVX-512"
    found = {
        "bench": "train_step",
        "ratio": ratio("torch"),
        "peer": "PyTorch eager, efficientnet_pytorch",
        "goal": 1.0,
        "measured": {
            "what": f"efficientnet_b2 at {args.size}, batch {args.batch}, float32",
            "seconds": {name: round(statistics.median(times), 3) for name, times in seconds.items()},
            "memory_mib": {name: round(mib) for name, mib in memory.items()},
            "peak_memory_over_torch": round(memory["effnet"] / memory["torch"], 3),
            "peak_memory_over_torch_goal": "at most 1.2",
            "ratio_channels_last": ratio("torch channels_last"),
            "onednn_max_cpu_isa": isa,
        },
        "versions": {name: importlib.metadata.version(name) for name in ("mindspore", "torch", "efficientnet_pytorch")},
    }
    print(json.dumps(found))
    return 0


def in_turns(args):
    """({side: [seconds a step, by round]}, {side: peak memory in MiB})."""
    seconds, memory, processes = {name: [] for name in SIDES}, {}, {}
    sizes = ["--size", str(args.size), "--batch", str(args.batch)]
    with contextlib.ExitStack() as ending:
        for name in SIDES:
            command = [sys.executable, "-m", "bench.train_step", "--serve", name, *sizes]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            processes[name] = subprocess.Popen(command, cwd=ROOT, **pipes)
            ending.callback(processes[name].kill)
            if processes[name].stdout.readline() != "ready\n":
                raise InputError(f"{name} did not start; `make test-peers` installs the peers")
            processes[name].send_signal(signal.SIGSTOP)
        for number in range(args.rounds):
            for name, process in processes.items():
                process.send_signal(signal.SIGCONT)
                process.stdin.write(f"{args.steps}\n")
                process.stdin.flush()
                took, memory[name] = json.loads(process.stdout.readline())
                process.send_signal(signal.SIGSTOP)
                seconds[name].append(took)
            said = ", ".join(f"{name} {times[-1]:.2f} s" for name, times in seconds.items())
            print(f"round {number + 1}: {said}", file=sys.stderr, flush=True)
    return seconds, memory


if __name__ == "__main__":
    errors.run(main)
