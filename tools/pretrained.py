"""Other people's weights: `python -m tools.pretrained` lists the table, with a name it makes that row's checkpoint.

    python -m tools.pretrained                          what there is
    python -m tools.pretrained lite2                    models/pretrained/lite2.ckpt, by pretrained/dvc.yaml
    python -m tools.pretrained torchvision_b2 --file my_b2.pth     models/pretrained/my_b2.ckpt, of that row's kind

The table is effnet/weights/table.yaml. A row that is made becomes a stage (pretrained/rows.yaml) and its checksum a
record in git (pretrained/dvc.lock); a file of one's own is nobody's row, `dvc add` versions it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import yaml

from effnet import errors, parsed
from effnet.errors import InputError
from effnet.files import whole
from effnet.weights import pretrained

ROWS = Path("pretrained/rows.yaml")
PIPELINE = "pretrained/dvc.yaml"
RECORD = "pretrained/dvc.lock"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="row of effnet/weights/table.yaml")
    parser.add_argument("--file", default="", help="weight file of your own, of the kind of that row")
    args = parser.parse_args()
    if not args.name:
        if args.file:
            raise InputError(
                f"FILE={args.file} needs MODEL=..., the row whose layout it has; `make pretrained` lists them"
            )
        return show()
    pretrained.source(args.name)  # or refuse the name before anything is written
    if args.file:
        return subprocess.run([sys.executable, "-m", "stages.pretrained", args.name, "--file", args.file]).returncode
    name_row(args.name)
    stage = f"{PIPELINE}:weights@{args.name}"
    if subprocess.run(["dvc", "repro", "-q", stage]).returncode:
        return 2  # the stage has said why
    print(f"versioned: {RECORD} holds its checksum; `make push FILES={path_of(args.name)}` sends it to your remote")
    return 0


def show():
    print(f"{'row':16} {'variant':19} {'top-1 published':>15}  {'licence':13} checkpoint")
    for name, row in pretrained.sources().items():
        here = path_of(name) if Path(path_of(name)).exists() else "-"
        print(f"{name:16} {row['variant']:19} {row['top1']:>13.2f} %  {row['licence']:13} {here}")
    print("make one: make pretrained MODEL=lite2; start from one: model.pretrained in params.yaml")
    return 0


def path_of(name):
    return f"models/pretrained/{name}.ckpt"


def named_rows():
    """The rows that are stages of pretrained/dvc.yaml."""
    return parsed.yaml_file(ROWS, parsed.Rows)["rows"]


def name_row(name):
    names = named_rows()
    if name not in names:
        with whole(str(ROWS), "w") as file:
            yaml.safe_dump({"rows": sorted([*names, name])}, file)


if __name__ == "__main__":
    errors.run(main)
