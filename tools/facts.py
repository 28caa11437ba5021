"""Everything that is known of the run in this folder, read from what its stages wrote; the report and the model card
are made of it.
"""

from collections import namedtuple
from pathlib import Path

from effnet import parsed, recipe
from effnet.errors import InputError
from effnet.results.metrics import interval
from tools import published

# name: what it is for people, its metrics file, its provenance, its clock
Runtime = namedtuple("Runtime", "title metrics provenance clock")
RUNTIMES = {
    "evaluate": Runtime("MindSpore", "evaluate", "evaluate", "evaluate"),
    "onnx_eval": Runtime("ONNX Runtime", "onnx/float32", "onnx_eval", "onnx"),
    "float16": Runtime("ONNX Runtime, float16", "onnx/float16", "onnx_eval", "onnx_float16"),
    "int8": Runtime("ONNX Runtime, int8", "onnx/int8", "onnx_eval", "onnx_int8"),
    "openvino": Runtime("OpenVINO", "onnx/openvino", "onnx_eval", "openvino"),
    "openvino_bfloat16": Runtime("OpenVINO, bfloat16", "onnx/openvino_bfloat16", "onnx_eval", "openvino_bfloat16"),
    "openvino_int8": Runtime("OpenVINO, int8", "onnx/openvino_int8", "onnx_eval", "openvino_int8"),
    "infer310": Runtime("C++, MindSpore Lite", "infer310", "infer310", "infer310"),
}
TRAINING = Runtime("training", "train", "train", "train")
# columns of the tables in metrics/evaluate
TABLES = {
    "per_image": {"name": str, "actual": str, "predicted": str, "confidence": parsed.number, "loss": parsed.number},
    "per_class": {"class": str, "images": int, "top1": parsed.maybe, "most_often_taken_for": str},
    "calibration": {"images": parsed.some, "confidence": parsed.number, "accuracy": parsed.number},
}
PAIRS = {"pair": str, "largest_difference": parsed.number, "equal_top1": parsed.number}
HEADER = ["runtime", "top-1", "95% interval", "top-5", "loss", "images"]


def read(folder="."):
    """Dictionary of the run's facts: recipe, text of params.yaml, metrics and provenance by stage, curves, tables,
    mistakes (PNG bytes).

    Raises InputError if the model was never evaluated here.
    """
    folder = Path(folder)
    metrics = read_metrics(folder)
    tables = {name: parsed.table(folder / f"metrics/evaluate/{name}.csv", columns) for name, columns in TABLES.items()}
    if "evaluate" not in metrics or not all(tables.values()):
        raise InputError(
            "metrics/evaluate: no evaluation here to report on; `make repro` makes it, `make pull` brings it"
        )
    if len(tables["per_image"]) != metrics["evaluate"]["images"]:
        raise InputError(
            f"metrics/evaluate/per_image.csv: {len(tables['per_image'])} pictures, metrics/evaluate.json is of "
            f"{metrics['evaluate']['images']}; `dvc checkout metrics/evaluate` brings it back"
        )
    sheet = folder / "metrics/evaluate/mistakes.png"
    params = recipe.load(folder / "params.yaml")
    training = parsed.json_file(folder / "metrics/clock/train.json", parsed.Clock)
    return {
        "recipe": params,
        "published": published.beside(params, metrics["evaluate"], training and training["seconds"] / 3600),
        "params": (folder / "params.yaml").read_text(),
        "metrics": metrics,
        "training": parsed.json_file(folder / "metrics/train.json", parsed.Training),
        "parity": parsed.table(folder / "metrics/parity/pairs.csv", PAIRS),
        "provenance": {
            name: (found, parsed.json_file(folder / f"metrics/clock/{row.clock}.json", parsed.Clock) or {})
            for name, row in {"train": TRAINING, **RUNTIMES}.items()
            if name in {"train", *metrics}
            and (found := parsed.json_file(folder / f"metrics/provenance/{row.provenance}.json", parsed.Provenance))
        },
        "curves": read_curves(folder),
        "mistakes": sheet.read_bytes() if sheet.exists() else None,
        "model": parsed.json_file(folder / "models/effnet.json", parsed.Meta),
        **tables,
    }


def read_metrics(folder="."):
    """`{name in RUNTIMES: its metrics}` of what was evaluated in `folder`."""
    files = {name: Path(folder, f"metrics/{row.metrics}.json") for name, row in RUNTIMES.items()}
    return {name: found for name, file in files.items() if (found := parsed.metrics_file(file))}


def read_curves(folder="."):
    """`{name: rows of its file}` of what training logged for each epoch."""
    files = sorted(Path(folder, "metrics/train/plots/metrics").glob("*.tsv"))
    return {path.stem: parsed.table(path, {"step": int, path.stem: parsed.number}) for path in files}


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


def title(facts):
    params = facts["recipe"]
    return f"{params.model.variant} at {params.evaluate.crop} pixels on {params.data.source}"


def origin(facts):
    """Header and rows of the provenance table: one row a stage. What a clock says is there where the run was made."""
    rows = []
    for name, (found, clock) in facts["provenance"].items():
        where = f"{found['device']['number']} x {found['device']['target']}"
        if not clock:
            rows.append([name, found["recipe"][:10], found["data"][:10], where, "elsewhere", "-", "-"])
            continue
        revision = (clock["revision"] or "no git")[:10] + (" with edits" if clock["edited"] else "")
        where += f" ({clock['cpu']}, {clock['cores']} cores)"
        speed = [f"{clock['seconds']:,}", f"{clock['images_per_second']:,}"]
        rows.append([name, found["recipe"][:10], found["data"][:10], where, revision, *speed])
    return ["stage", "recipe", "data", "device", "code", "seconds", "images/s"], rows


def versions(facts):
    first, _ = next(iter(facts["provenance"].values()), ({"versions": {}}, {}))
    return ", ".join(f"{name} {version}" for name, version in first["versions"].items())
