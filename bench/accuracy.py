"""The same recipe trained here and in PyTorch from random weights, on the same pictures: is it as accurate?

    python -m bench.accuracy [--recipes tensorflow modern] [--seeds 1 2 3]

The pictures are PICTURES of each of Fashion-MNIST's ten kinds to learn from and CHECKED others of each to check with,
written as JPEG by `prepare`; both sides read those. Two recipes, below:

  tensorflow   RMSProp, exponential decay, average weights, AutoAugment, drop connect, as tensorflow/tpu trains
  modern       AdamW, cosine, RandAugment

  effnet       stages prepare, train, evaluate of this project
  torch        timm's network of the same variant, its initial values but the classifier's (here those of effnet), its
               RMSpropTF or PyTorch's AdamW, its schedules, its AutoAugment or RandAugment; Pillow and torchvision

Each side of each seed is a process of its own. What is measured is kept in bench/trained.json and not measured again,
and its part of docs/accuracy.md written anew after each. Needs torch and timm (`make test-peers`).
"""

import argparse
import copy
import gzip
import importlib.metadata
import io
import json
import math
import statistics
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import ttest_ind

from bench import sides
from bench.sides import ROOT
from effnet import errors, recipe
from effnet.arch.family import VARIANTS
from effnet.files import write_json
from effnet.sources import fashion
from effnet.sources.folder import shuffled

KEPT, PAGE = ROOT / "bench/trained.json", ROOT / "docs/accuracy.md"
FASHION = "/usr/share/datasets/fashion-mnist"
PICTURES, CHECKED, EPOCHS = 640, 500, 12
TRAIN = {"threads": 2, "epoch_size": EPOCHS, "warmup_epochs": 1.0, "lr_init": 1e-4, "label_smooth_factor": 0.1}
COMMON = {
    "model": {"variant": "efficientnet_half", "image_size": 32, "dropout": 0.2},
    "data": {"source": "fashion", "batch_size": 64},
    "augment": {"crop_scale": [0.5, 1.0], "crop_ratio": [0.75, 1.3333333333], "hflip": 0.5},
    "validation": {"resize": 32, "crop": 32, "batch_size": 100},
    "evaluate": {"resize": 32, "crop": 32, "batch_size": 100},
}
RECIPES = {  # what differs from recipes/digits.yaml and COMMON
    "tensorflow": {
        "model": {"drop_connect": 0.2, "bn_momentum": 0.95},
        "augment": {"auto_augment": "imagenet"},
        "train": TRAIN
        | {"opt": "rmsprop", "opt_eps": 1e-3, "momentum": 0.9, "rms_decay": 0.9, "weight_decay": 1e-5}
        | {"lr_max": 0.001, "lr_end": 0.0, "lr_decay_mode": "exponential", "lr_decay_rate": 0.85, "lr_decay_epochs": 1}
        | {"ema_decay": 0.99},
    },
    "modern": {
        "model": {"drop_connect": 0.1, "bn_momentum": 0.95},
        "augment": {"auto_augment": "rand-m9-n2"},
        "train": TRAIN
        | {"opt": "adamw", "opt_eps": 1e-8, "momentum": 0.9, "rms_decay": 0.999, "weight_decay": 0.05}
        | {"lr_max": 0.002, "lr_end": 1e-5, "lr_decay_mode": "cosine"},
    },
}
TIMMS = {"imagenet": "original", "rand-m9-n2": "rand-m9-n2"}  # its names of the same augmentation


def settings(name, root, seed):
    """The recipe `name` as a tree, complete."""
    tree = yaml.safe_load((ROOT / "recipes/digits.yaml").read_text())
    for changes in (COMMON, copy.deepcopy(RECIPES[name])):
        for section, values in changes.items():
            tree[section] |= values
    tree["data"]["root"], tree["train"]["seed"] = str(root), seed
    return tree


def subset(source, work):
    """A folder with the set's files of the first PICTURES and CHECKED pictures of each kind in a fixed order."""
    for split, each in (("train", PICTURES), ("val", CHECKED)):
        pixels, labels = fashion.arrays(source, split)
        order = shuffled(len(labels), 0)
        chosen = np.sort(np.concatenate([order[labels[order] == kind][:each] for kind in range(len(fashion.NAMES))]))
        names = [name for name in fashion.parts(work) if name.startswith(fashion.FILES[split])]
        for name, values in zip(names, (pixels[chosen], labels[chosen]), strict=True):
            head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            Path(work, name).write_bytes(gzip.compress(head + values.tobytes(), 1))
    return work


def effnet(tree):
    """{"top1", "epochs": [{"top1", "loss"}]} by the pipeline's own stages."""
    with sides.pipeline(tree, ("prepare", "train", "evaluate")) as work:
        found = json.loads(Path(work, "metrics/evaluate.json").read_text())
        epochs = json.loads(Path(work, "metrics/clock/train.json").read_text())["epochs"]
    return {
        "top1": found["top1"],
        "epochs": [{key: round(epoch[key], 5) for key in ("top1", "loss")} for epoch in epochs],
    }


class Pictures:
    """A split of the prepared pictures, for PyTorch: (normalised CHW float32, label), `look` being what happens to a
    PIL image.
    """

    def __init__(self, dataset, look, augment):
        self.dataset, self.look = dataset, look
        self.mean, self.std = (np.array(row, np.float32).reshape(3, 1, 1) for row in (augment.mean, augment.std))

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        from PIL import Image

        with Image.open(io.BytesIO(self.dataset.read(i))) as picture:
            pixels = np.asarray(self.look(picture.convert("RGB")), np.float32)
        return (pixels.transpose(2, 0, 1) - self.mean) / self.std, int(self.dataset.labels[i])


def looks(params):
    """Pre-processing of a PIL image: of training, of evaluation."""
    from timm.data import auto_augment
    from torchvision import transforms as T

    augment, evaluate = params.augment, params.evaluate
    how = {name: T.InterpolationMode[name.upper()] for name in ("bilinear", "bicubic")}
    crop = T.RandomResizedCrop(
        params.model.image_size, augment.crop_scale, augment.crop_ratio, how[augment.interpolation]
    )
    policy, of_timm = TIMMS[augment.auto_augment], {"translate_const": 100, "img_mean": (128, 128, 128)}
    make = auto_augment.rand_augment_transform if "rand" in policy else auto_augment.auto_augment_transform
    center = [T.Resize(evaluate.resize, how[evaluate.interpolation]), T.CenterCrop(evaluate.crop)]
    return T.Compose([crop, T.RandomHorizontalFlip(augment.hflip), make(policy, of_timm)]), T.Compose(center)


def network(params):
    """timm's network of the recipe's width and depth, as in TensorFlow, on random weights."""
    import torch
    from timm.models.efficientnet import _gen_efficientnet
    from torch import nn

    model = params.model
    width, depth = VARIANTS[model.variant][:2]
    net = _gen_efficientnet(
        "tf_efficientnet_b0", width, depth, pad_type="same", num_classes=model.class_num, drop_rate=model.dropout,
        drop_path_rate=model.drop_connect, bn_momentum=1 - model.bn_momentum, bn_eps=model.bn_eps,
    )  # fmt: skip
    limit = 1 / math.sqrt(max(1000, model.class_num))  # timm's has the classes alone: ten start at twice the loss
    nn.init.uniform_(net.classifier.weight, -limit, limit)
    return net.to(memory_format=torch.channels_last)  # PyTorch's faster layout here, see bench/train_step.py


def optimizer(net, params, per_epoch):
    """(optimizer, schedule by updates) of the recipe, of timm and PyTorch."""
    import torch
    from timm.optim import RMSpropTF
    from timm.scheduler import CosineLRScheduler, StepLRScheduler

    train = params.train
    norms = [p for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters(recurse=False)]
    ours = {id(p) for p in norms}
    rest = [p for p in net.parameters() if id(p) not in ours]
    groups = [{"params": rest, "weight_decay": train.weight_decay}, {"params": norms, "weight_decay": 0.0}]
    if train.opt == "adamw":
        betas = train.momentum, train.rms_decay
        optimizer = torch.optim.AdamW(groups, train.lr_max, betas, train.opt_eps)
    else:
        optimizer = RMSpropTF(groups, train.lr_max, train.rms_decay, train.opt_eps, momentum=train.momentum)
    warmup = {"warmup_t": round(train.warmup_epochs * per_epoch), "warmup_lr_init": train.lr_init, "t_in_epochs": False}
    if train.lr_decay_mode == "cosine":
        length = train.epoch_size * per_epoch - warmup["warmup_t"]
        return optimizer, CosineLRScheduler(optimizer, length, lr_min=train.lr_end, warmup_prefix=True, **warmup)
    length = train.lr_decay_epochs * per_epoch
    return optimizer, StepLRScheduler(optimizer, length, train.lr_decay_rate, warmup_prefix=False, **warmup)


def torch(tree):
    """The same by PyTorch."""
    import torch
    from torch.nn import functional as F
    from torch.utils.data import DataLoader

    from effnet.shards.dataset import Dataset
    from tests.peers.nets import _torchvision

    _torchvision()
    from timm.utils import ModelEmaV3

    params = recipe.Recipe.model_validate(tree)
    train, classes = params.train, params.model.class_num
    torch.manual_seed(train.seed)
    torch.set_num_threads(train.threads)
    with sides.pipeline(tree, ["prepare"]) as work:
        crops, center = looks(params)
        seen = Pictures(Dataset(work / "data/prepared", "train"), crops, params.augment)
        checked = Pictures(Dataset(work / "data/prepared", "val"), center, params.augment)
        batches = DataLoader(
            seen, params.data.batch_size, shuffle=True, drop_last=True, num_workers=1, worker_init_fn=_seeded,
            persistent_workers=True, generator=torch.Generator().manual_seed(train.seed),
        )  # fmt: skip
        checks = [
            (torch.stack(images), torch.tensor(labels))
            for images, labels in _batches(checked, params.evaluate.batch_size, torch.from_numpy)
        ]
        net = network(params)
        average = ModelEmaV3(net, train.ema_decay) if train.ema_decay else None
        rule, schedule = optimizer(net, params, len(batches))
        # timm and torch spread the smoothing over all classes, effnet and the original over the others
        smoothing = train.label_smooth_factor * classes / (classes - 1)
        epochs, updates = [], 0
        for _ in range(train.epoch_size):
            losses = []
            net.train()
            for images, labels in batches:
                schedule.step_update(updates)
                loss = F.cross_entropy(net(images), labels, label_smoothing=smoothing)
                rule.zero_grad()
                loss.backward()
                rule.step()
                if average:  # the decay of tf.train.ExponentialMovingAverage, small at first
                    average.decay = min(train.ema_decay, (1 + updates) / (10 + updates))
                    average.update(net)
                losses.append(loss.item())
                updates += 1
            tested = (average.module if average else net).eval()
            with torch.no_grad():
                right = sum(int((tested(images).argmax(1) == labels).sum()) for images, labels in checks)
            epochs.append({"top1": round(right / len(checked), 5), "loss": round(statistics.mean(losses), 5)})
            print(f"PyTorch, epoch {len(epochs)}: {epochs[-1]}", file=sys.stderr, flush=True)
    return {"top1": epochs[-1]["top1"], "epochs": epochs}


def _seeded(worker):
    """timm's augmentation draws from Python's and NumPy's generators: PyTorch's own gives each worker its seed."""
    import random

    import torch

    random.seed(torch.initial_seed())
    np.random.seed(torch.initial_seed() % 2**32)


def _batches(pictures, size, tensor):
    for start in range(0, len(pictures), size):
        images, labels = zip(*(pictures[i] for i in range(start, min(start + size, len(pictures)))), strict=True)
        yield [tensor(image) for image in images], labels


SIDES = {"effnet": effnet, "torch": torch}


def paired(runs):
    """The seeds that both sides finished."""
    return {seed: run for seed, run in runs.items() if run.keys() >= SIDES.keys()}


def summary(runs):
    """Means and standard deviations of the seeds' top-1, effnet's less PyTorch's, and its 95% interval by Welch
    (1947): unequal variances, as scipy.stats.ttest_ind has it. None where there is one seed only.
    """
    top1 = {side: [run[side]["top1"] for run in runs.values()] for side in SIDES}
    found = {side: {"mean": statistics.mean(values)} for side, values in top1.items()}
    found |= {"seeds": len(runs), "difference": found["effnet"]["mean"] - found["torch"]["mean"], "interval": None}
    if len(runs) > 1:
        for side, values in top1.items():
            found[side]["deviation"] = statistics.stdev(values)
        between = ttest_ind(top1["effnet"], top1["torch"], equal_var=False).confidence_interval()
        found["interval"] = [float(between.low), float(between.high)]
    return found


def report(kept):
    """The page's part: the table of results, and each epoch's means."""
    lines = ["| recipe | seeds | effnet | PyTorch | difference, 95% interval |", "|---|---|---|---|---|"]
    curves = []
    for name, runs in kept.items():
        if runs := paired(runs):
            s = summary(runs)
            cells = [f"{s[side]['mean']:.2%}" + (f" +- {100 * s[side]['deviation']:.2f}" if s["interval"] else "")
                     for side in SIDES]  # fmt: skip
            between = " - ".join(f"{100 * end:+.2f}" for end in s["interval"]) if s["interval"] else "one seed: none"
            lines.append(f"| {name} | {s['seeds']} | {' | '.join(cells)} | {100 * s['difference']:+.2f} ({between}) |")
            curves += ["", f"{name}: top-1 after each epoch, mean of the seeds", *_curve(runs)]
    return "\n".join(lines + curves)


def _curve(runs):
    epochs = range(len(next(iter(runs.values()))["effnet"]["epochs"]))
    yield "| | " + " | ".join(str(epoch + 1) for epoch in epochs) + " |"
    yield "|---" * (len(epochs) + 1) + "|"
    for side in SIDES:
        means = [statistics.mean(run[side]["epochs"][epoch]["top1"] for run in runs.values()) for epoch in epochs]
        yield f"| {side} | " + " | ".join(f"{100 * mean:.1f}" for mean in means) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--data", default=FASHION, help="folder of Fashion-MNIST's four files")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(SIDES[args.side](settings(args.recipes[0], args.data, args.seeds[0]))))
        return 0
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory() as work:
        data = subset(args.data, work)
        for seed in args.seeds:
            for name in args.recipes:
                run = kept.setdefault(name, {}).setdefault(str(seed), {})
                for side in SIDES.keys() - run.keys():
                    options = ("--recipes", name, "--seeds", seed, "--data", data, "--side", side)
                    run[side] = sides.measure("accuracy", *options)
                    print(f"{name}, seed {seed}, {side}: {run[side]['top1']:.2%}", file=sys.stderr, flush=True)
                    write_json(KEPT, kept)
                sides.write_part(PAGE, "accuracy", report(kept))
    found = {name: summary(runs) for name, of_all in kept.items() if (runs := paired(of_all))}
    packages = ("mindspore", "torch", "timm")
    versions = {name: importlib.metadata.version(name) for name in packages}
    print(json.dumps({"bench": "accuracy", "peer": "PyTorch and timm", "measured": found, "versions": versions}))
    return 0


if __name__ == "__main__":
    errors.run(main)
