"""Everything that is known of the run in this folder, read from what its stages wrote; the report and the model card
are made of it.
"""

import csv
import json
from pathlib import Path

from effnet import recipe
from effnet.errors import InputError

RUNTIMES = {
    "evaluate": "MindSpore",
    "onnx_eval": "ONNX Runtime",
    "onnx_int8": "ONNX Runtime, int8",
    "infer310": "C++, MindSpore Lite",
}


def read(folder="."):
    """Dictionary of the run's facts: recipe, text of params.yaml, metrics and provenance by stage, curves, tables,
    mistakes (PNG bytes).

    Raises InputError if the model was never evaluated here.
    """
    folder = Path(folder)
    metrics = {name: found for name in RUNTIMES if (found := _json(folder / f"metrics/{name}.json"))}
    tables = {
        name: _rows(folder / f"metrics/evaluate/{name}.csv") for name in ("per_image", "per_class", "calibration")
    }
    if "evaluate" not in metrics or not all(tables.values()):
        raise InputError(
            "metrics/evaluate: no evaluation here to report on; `make eval` makes it, `make pull` brings it"
        )
    sheet = folder / "metrics/evaluate/mistakes.png"
    return {
        "recipe": recipe.load(folder / "params.yaml"),
        "params": (folder / "params.yaml").read_text(),
        "metrics": metrics,
        "training": _json(folder / "metrics/train.json"),
        "parity": _json(folder / "metrics/parity.json"),
        "provenance": {
            name: found for name in ("train", *RUNTIMES) if (found := _json(folder / f"metrics/provenance/{name}.json"))
        },
        "curves": {path.stem: _rows(path) for path in sorted((folder / "metrics/train/plots/metrics").glob("*.tsv"))},
        "mistakes": sheet.read_bytes() if sheet.exists() else None,
        "model": _json(folder / "models/effnet.json"),
        **tables,
    }


def calibration_error(rows):
    """Expected calibration error: mean |accuracy - confidence| over the images (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599).
    """
    images = sum(int(row["images"]) for row in rows)
    return sum(int(row["images"]) * abs(float(row["accuracy"]) - float(row["confidence"])) for row in rows) / images


def _json(path):
    return json.loads(path.read_text()) if path.exists() else None


def _rows(path):
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
