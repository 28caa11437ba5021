"""The table of the family in docs/family.md: `python -m tools.family` rewrites it, `python -m tools.family PICTURES`
measures it anew.

PICTURES is a folder of files named WNID_anything.JPEG, all of ImageNet's classes. Measuring sends them through the
pretrained weights that a package index has, in MindSpore and in PyTorch, and keeps the figures in bench/family.json;
needs `make test-peers`' packages.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from effnet import errors
from effnet.arch import layers
from effnet.arch.family import UNPUBLISHED, VARIANTS
from effnet.errors import InputError
from effnet.files import whole, write_json
from effnet.weights import pretrained

ROOT = Path(__file__).parents[1]
PAGE, MEASURED = ROOT / "docs/family.md", ROOT / "bench/family.json"
HEAD = """\
| variant | pixels | parameters | MACs | weights | published top-1 | top-1 here \
| largest logit difference to PyTorch, equal top-1 |
|---|---|---|---|---|---|---|---|"""
MARK = "<!-- table -->"


def measure(folder):
    """{name: {"top1": share, "images": n, "largest_difference": of logits, "equal_top1": share}} of the weights that
    come as packages.
    """
    from effnet.cli import predict  # the table alone needs neither MindSpore nor PyTorch
    from effnet.network import checkpoint
    from tests.peers import lite

    files = sorted(Path(folder).glob("*.JPEG"))
    if not files:
        raise InputError(f"{folder}: no *.JPEG there; name a folder of ImageNet pictures called WNID_anything.JPEG")
    found = {}
    for name, row in pretrained.sources().items():
        if "package" not in row:
            continue
        weights, meta = pretrained.load(name, ROOT / "data/raw/weights")
        path = ROOT / f"models/pretrained/{name}.ckpt"
        checkpoint.save(path, weights, meta)
        model, _, _ = predict.load(path)
        look = predict.preset(meta, meta["crop"])
        images = np.stack([look(file.read_bytes()) for file in files])
        ours = np.concatenate([model(images[i : i + 20]) for i in range(0, len(images), 20)])
        theirs = lite.logits(name, files, ROOT / "data/raw/weights")
        labels = np.array([meta["class_ids"].index(file.name[:9]) for file in files])
        found[name] = {
            "top1": float((ours.argmax(1) == labels).mean()),
            "images": len(files),
            "largest_difference": float(np.abs(ours - theirs).max()),
            "equal_top1": float((ours.argmax(1) == theirs.argmax(1)).mean()),
        }
    return found


def table():
    measured, sources, lines = json.loads(MEASURED.read_text()), pretrained.sources(), [HEAD]
    for variant in [name for name in VARIANTS if name not in UNPUBLISHED]:
        for name in [name for name, row in sources.items() if row["variant"] == variant] or [""]:
            row, figures = sources.get(name, {}), measured.get(name)
            size = row.get("crop", VARIANTS[variant].image_size)  # at which the accuracy was published
            parameters, macs = layers.totals(variant, size)
            here = f"{figures['top1']:.0%} of {figures['images']}" if figures else "not run here"
            parity = f"{figures['largest_difference']:.1e}, {figures['equal_top1']:.0%}" if figures else ""
            cells = (name and f"`{name}`", row.get("top1", ""), here if name else "", parity)
            about = f"| {variant} | {size} | {parameters:,} | {macs / 1e9:.2f} G"
            lines.append(f"{about} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="?", help="folder of ImageNet pictures to measure with")
    folder = parser.parse_args().pictures
    if folder:
        write_json(MEASURED, measure(folder))
    before, _, after = PAGE.read_text().split(MARK)
    with whole(PAGE, "w") as file:
        file.write(f"{before}{MARK}\n{table()}\n{MARK}{after}")
    print(table())
    return 0


if __name__ == "__main__":
    errors.run(main)
