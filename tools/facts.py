"""Everything that is known of the run in this folder, read from what its stages wrote; the report and the model card
are made of it.
"""

import csv
import json
from collections import namedtuple
from pathlib import Path

from effnet import recipe
from effnet.errors import InputError
from effnet.results.metrics import interval

# name: what it is for people, its metrics file, its provenance, its clock
Runtime = namedtuple("Runtime", "title metrics provenance clock")
RUNTIMES = {
    "evaluate": Runtime("MindSpore", "evaluate", "evaluate", "evaluate"),
    "onnx_eval": Runtime("ONNX Runtime", "onnx_eval", "onnx_eval", "onnx"),
    "float16": Runtime("ONNX Runtime, float16", "quantized/float16", "onnx_eval", "onnx_float16"),
    "int8": Runtime("ONNX Runtime, int8", "quantized/int8", "onnx_eval", "onnx_int8"),
    "infer310": Runtime("C++, MindSpore Lite", "infer310", "infer310", "infer310"),
}
TRAINING = Runtime("training", "train", "train", "train")
HEADER = ["runtime", "top-1", "95% interval", "top-5", "loss", "images"]


def read(folder="."):
    """Dictionary of the run's facts: recipe, text of params.yaml, metrics and provenance by stage, curves, tables,
    mistakes (PNG bytes).

    Raises InputError if the model was never evaluated here.
    """
    folder = Path(folder)
    metrics = read_metrics(folder)
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
        "parity": _rows(folder / "metrics/parity/pairs.csv"),
        "provenance": {
            name: (found, _json(folder / f"metrics/clock/{row.clock}.json") or {})
            for name, row in {"train": TRAINING, **RUNTIMES}.items()
            if name in {"train", *metrics} and (found := _json(folder / f"metrics/provenance/{row.provenance}.json"))
        },
        "curves": {path.stem: _rows(path) for path in sorted((folder / "metrics/train/plots/metrics").glob("*.tsv"))},
        "mistakes": sheet.read_bytes() if sheet.exists() else None,
        "model": _json(folder / "models/effnet.json"),
        **tables,
    }


def read_metrics(folder="."):
    """`{name in RUNTIMES: its metrics}` of what was evaluated in `folder`."""
    files = {name: Path(folder, f"metrics/{row.metrics}.json") for name, row in RUNTIMES.items()}
    return {name: found for name, file in files.items() if (found := _json(file))}


def results(metrics):
    """Rows under HEADER, of text: one a runtime, shares in percent."""
    rows = []
    for name, found in metrics.items():
        low, high = interval(found)
        shares = [f"{100 * found['top1']:.2f}", f"{100 * low:.2f} - {100 * high:.2f}", f"{100 * found['top5']:.2f}"]
        rows.append([RUNTIMES[name].title, *shares, f"{found['loss']:.4f}", f"{found['images']:,}"])
    return rows


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
