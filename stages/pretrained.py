"""Other people's weights as a checkpoint of ours, with their pre-processing, licence and classes inside.

    python -m stages.pretrained           what the recipe's model.pretrained names -> models/start/start.ckpt
    python -m stages.pretrained lite0     that row -> models/pretrained/lite0.ckpt (pretrained/dvc.yaml runs it)
    python -m stages.pretrained torchvision_b2 --file my_b2.pth     weights of your own, of the kind of that row
                                          -> models/pretrained/my_b2.ckpt

Names are the rows of effnet/weights/table.yaml. model.pretrained may also be the path of a checkpoint of ours.
"""

import argparse
from pathlib import Path

from effnet import errors, recipe, trained
from effnet.errors import InputError
from effnet.files import whole
from effnet.network import checkpoint
from effnet.weights import pretrained

CACHE = "data/raw/weights"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="row of effnet/weights/table.yaml")
    parser.add_argument("--file", default="", help="weight file of your own")
    args = parser.parse_args()
    if args.name:
        to = Path(args.file).stem if args.file else args.name
        return write(f"models/pretrained/{to}.ckpt", *pretrained.load(args.name, CACHE, args.file))
    name = recipe.load().model.pretrained
    if not name:
        note = "model.pretrained is empty: training starts from random weights"
        with whole("models/start/README", "w") as file:  # DVC expects something in the folder
            file.write(f"{note}\n")
        print(note)
        return 0
    return write(
        "models/start/start.ckpt",
        *(own(name) if name.endswith(".ckpt") else pretrained.load(name, CACHE)),
    )


def own(path):
    if not Path(path).is_file():
        raise InputError(f"model.pretrained: {path}: no such file; `make pretrained` lists other weights")
    return trained.load(path)


def write(path, weights, meta):
    checkpoint.save(path, weights, meta)
    top1 = f", published top-1 {meta['expected_top1']:.1%}" if meta.get("expected_top1") else ""
    print(f"{path}: {meta['variant']} from {meta['source']} ({meta.get('licence', 'own weights')}){top1}")
    return 0


if __name__ == "__main__":
    errors.run(main)
