"""Sets of labelled pictures as folders train/CLASS and val/CLASS, for bench/finetune.py, out of what packages hold.

    python -m bench.pictures fashion /usr/share/datasets/fashion-mnist OUT    Debian's dataset-fashion-mnist, 28 pixels
    python -m bench.pictures emoji node_modules/emoji-datasource-google OUT   npm's emoji-datasource-google, 64 pixels
    python -m bench.pictures shrink FOLDER OUT                                a folder of pictures at 32 x 32 pixels

The first of each class that a fixed shuffle brings, TRAIN of them to learn from, VAL to look at.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

from effnet.sources.fashion import arrays

TRAIN, VAL = 100, 50
FASHION = "T-shirt Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Boot".split()


def fashion(source, out):
    """Ten kinds of clothes: training pictures from the set's training files, the others from its test files."""
    for split, count in (("train", TRAIN), ("val", VAL)):
        pixels, labels = arrays(source, split)
        for label, kind in enumerate(FASHION):
            places = np.flatnonzero(labels == label).tolist()
            for place in random.Random(label).sample(places, count):
                save(Image.fromarray(pixels[place]), Path(out, split, kind, f"{place}.png"))


def emoji(source, out, train=60, val=40):
    """Google's emoji by what they show, for each kind with enough of them; no emoji is in both parts."""
    entries, kinds = json.loads(Path(source, "emoji.json").read_text()), {}
    for entry in entries:
        if entry["has_img_google"]:
            kinds.setdefault(entry["category"], []).append(entry["image"])
    for kind, images in kinds.items():
        if len(images) >= train + val:
            chosen = random.Random(kind).sample(sorted(images), train + val)
            for place, name in enumerate(chosen):
                picture = Image.open(Path(source, "img/google/64", name)).convert("RGBA")
                ground = Image.new("RGBA", picture.size, "white")
                split = "train" if place < train else "val"
                save(
                    Image.alpha_composite(ground, picture).convert("RGB"),
                    Path(out, split, kind.replace(" ", "_"), name),
                )


def shrink(source, out):
    """Each picture squeezed into 32 x 32 pixels: what CIFAR's pictures look like."""
    for path in sorted(Path(source).glob("*/*/*")):
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC)
        save(small, Path(out, path.relative_to(source)).with_suffix(".png"))


def save(picture, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("fashion", "emoji", "shrink"))
    parser.add_argument("source")
    parser.add_argument("out")
    args = parser.parse_args()
    {"fashion": fashion, "emoji": emoji, "shrink": shrink}[args.kind](args.source, args.out)


if __name__ == "__main__":
    main()
