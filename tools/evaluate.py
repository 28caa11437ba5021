"""Evaluate a model on pictures: `python -m tools.evaluate [--model MODEL] [--data DATA] [--runtimes "onnx infer310"]`

MODEL: a row of effnet/weights/table.yaml, a checkpoint or an ONNX file of ours; without it models/effnet.ckpt as it is.
DATA: class folders (by wnid, name or number), files named by wnid, ImageNet's validation archive beside its devkit;
without it the recipe's validation set, data/prepared. The result goes to reports/eval; nothing of the pipeline changes,
and nothing is trained.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from effnet import errors, recipe
from effnet.errors import InputError
from effnet.files import write_json
from effnet.loose import pictures
from effnet.results import classes, metrics, mistakes
from effnet.shards.dataset import Dataset
from tools import facts, runtimes
from tools.evaluation import of_runtime, provenance
from tools.repo import opened
from tools.summary import aligned

OURS, PREPARED, REPORTS = "models/effnet.ckpt", "data/prepared", Path("reports/eval")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help=f"row of the table, checkpoint or ONNX file; default {OURS}")
    parser.add_argument("--data", default="", help=f"folder or archive of pictures; default {PREPARED}")
    parser.add_argument("--runtimes", default="", help=f"of {', '.join(runtimes.TITLES)}; default mindspore onnx")
    args = parser.parse_args()
    params = recipe.load()
    found = pictures.find(args.data) if args.data else None  # the quick refusals first
    model = runtimes.load(runtimes.locate(args.model or OURS))
    asked = runtimes.asked(args.runtimes, model)
    dataset = pictures.Pictures(args.data, found, model.meta) if found else prepared(model.meta, params.data)
    said = list(dataset.said)
    calibration = dataset
    if any(name.endswith("-int8") for name in asked):
        calibration, words = calibrating(model.meta, dataset)
        said.append(words)
    data = Path(args.data).resolve().stem if args.data else "prepared"
    print(f"{model.path} ({model.meta['variant']}) on {args.data or PREPARED}")
    for line in [*said, looked(model), *([] if args.model else out_of_date())]:
        print(f"  {line}")
    answers = evaluate(model, asked, dataset, calibration, params)
    name = f"{model.path.stem}{'-onnx' if model.weights is None else ''}-{data}"
    report(REPORTS / f"{name}.json", model, dataset, said, answers, params)


def prepared(meta, data):
    """The validation set of data/prepared as the model of `meta` counts, which `data`, the recipe's section, must have
    made.
    """
    dataset = Dataset(PREPARED, "val")
    now = data.model_dump()
    other = [f"data.{key} {was}, not {now.get(key)}" for key, was in dataset.recipe.items() if was != now.get(key)]
    if other:
        raise InputError(
            f"{PREPARED}: pictures of another recipe than params.yaml ({'; '.join(other)}); "
            "`dvc repro prepare` makes this one's, DATA=... names others"
        )
    outputs, words = classes.find(PREPARED, dataset.class_ids, meta, partial=False)
    dataset.labels = np.array(outputs, np.int32)[dataset.labels]
    dataset.classes, dataset.class_ids = meta["classes"], classes.ids_of(meta)
    dataset.present = np.unique(dataset.labels).tolist()
    dataset.said = [f"{len(dataset):,} pictures, {len(outputs):,} classes read as {words}"]
    if meta.get("data_digest") not in (None, dataset.digest):
        dataset.said.append("the model was trained on other pictures than are prepared here")
    return dataset


def calibrating(meta, dataset):
    """`(pictures that calibrate int8, which they are in words)`: training ones of the model's classes, if there are."""
    if Path(PREPARED, "index.json").exists():
        train = Dataset(PREPARED, "train")
        if train.class_ids == classes.ids_of(meta):
            return train, f"int8 is calibrated on training pictures of {PREPARED}"
    return (
        dataset,
        "int8 is calibrated on pictures that are evaluated too: no training pictures of these classes are here",
    )


def looked(model):
    eye = runtimes.settings(model, 1)
    return f"shorter side {eye.resize} px, {eye.interpolation}, centre {eye.crop} px, as the model asks"


def out_of_date():
    """What to say where models/effnet.ckpt is not what the pipeline would now make; nothing is made."""
    try:
        with opened() as repo:
            changed = repo.status(targets=["train"], with_deps=True)
            changed.pop("source", None)  # which always looks at the raw data, and so always says that it changed
    except InputError as problem:
        return [f"whether {OURS} is up to date cannot be told: {problem}"]
    if changed:
        return [f"{OURS} is out of date (stage {', '.join(changed)}; `dvc status train` says why): evaluated as it is"]
    return []


def evaluate(model, asked, dataset, calibration, params):
    """`{runtime: (logits, device, seconds)}`."""
    answers, folder = {}, Path("build")
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="eval.") as work:
        for runtime in asked:
            began = time.perf_counter()
            logits, device = runtimes.logits(runtime, model, dataset, calibration, params, Path(work))
            answers[runtime] = logits, device, time.perf_counter() - began
            rate = len(dataset) / answers[runtime][2]
            print(f"  {title(runtime)}: {rate:.1f} pictures a second, start-up included", flush=True)
    return answers


def report(path, model, dataset, said, answers, params):
    """Print the tables; write the JSON file at `path`, and in a folder of its name what each runtime made of every
    picture, with the worst mistakes.
    """
    entries, folder = {}, path.with_suffix("")
    for runtime, (logits, device, seconds) in answers.items():
        entries[runtime], results = of_runtime(model, dataset, logits)
        entries[runtime] |= {
            "precision": runtimes.precision(runtime, model, params),
            "device": device,
            "seconds": round(seconds, 2),
        }
        metrics.write_tables(folder / runtime, results, dataset)
        mistakes.write_sheet(folder / runtime / "mistakes.png", results, dataset)
    write_json(path, {"said": said, **provenance(model, dataset, answers), "runtimes": entries})
    present, every = len(dataset.present), model.meta["class_num"]
    table(f"of all {every} classes", entries)
    if present < every:
        table(f"of the {present} present", {name: entry["classes_present"] for name, entry in entries.items()})
    print()
    for name, entry in entries.items():
        if words := entry["published"]["verdict"]:
            print(f"{title(name)}: {words}")
    print(f"{path}: all of it\n{folder}/: every picture's answers, the worst mistakes")


def table(head, entries):
    rows = facts.results({runtimes.TITLES[name]: entry for name, entry in entries.items()})
    print(f"\n{aligned([[head, *facts.HEADER[1:]], *rows])}")


def title(runtime):
    return facts.RUNTIMES[runtimes.TITLES[runtime]].title


if __name__ == "__main__":
    errors.run(main)
