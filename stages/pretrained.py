"""Other people's weights -> models/pretrained/NAME.ckpt, with their pre-processing, licence and classes inside.

    python stages/pretrained.py lite0
    python stages/pretrained.py torchvision_b2 --file my_b2.pth

NAME is a row of effnet/weights.yaml; without one, the recipe's model.pretrained.
"""

import argparse
from pathlib import Path

from effnet import checkpoint, errors, pretrained, recipe

CACHE = "data/raw/weights"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="row of effnet/weights.yaml")
    parser.add_argument("--file", default="", help="weight file of your own, of the kind that the row describes")
    parser.add_argument("--folder", default="models/pretrained", help="where the checkpoint goes (default: %(default)s)")
    args = parser.parse_args()
    name = args.name or recipe.load().model.pretrained
    Path(args.folder).mkdir(parents=True, exist_ok=True)
    if not name:
        print("model.pretrained is empty: training starts from random weights")
        return 0
    weights, meta = pretrained.load(name, CACHE, args.file)
    path = f"{args.folder}/{name}.ckpt"
    checkpoint.save_model(path, weights, meta)
    top1 = f", published top-1 {meta['expected_top1']:.1%}" if meta["expected_top1"] else ""
    print(f"{path}: {meta['variant']} from {meta['source']} ({meta['licence']}){top1}")
    return 0


if __name__ == "__main__":
    errors.run(main)
