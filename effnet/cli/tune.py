"""Which runtime, precision, batch and number of threads is fastest for a model on this machine, and what each costs in
answers: `effnet tune`.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from effnet.cli import predict
from effnet.errors import InputError
from effnet.results import classes
from effnet.runtimes import NAMES, by_name, tuned
from effnet.shards.dataset import Dataset

BATCHES = (1, 8)
PICTURES = 256  # at most, to compare answers of
PREPARED = Path("data/prepared")
HEAD = ["runtime", "threads", "batch", "images/s", "x onnx", "answers as float32"]


def tune(path, data="", least=0.99, seconds=30):
    """Measure, print the table and what came of it, keep it for `predict --fast`.

    path: ONNX file of ours. data: folder of pictures whose answers are compared; else the validation pictures of
    data/prepared, if they are of the model's classes. least: share of equal answers that a choice must have. seconds:
    what all measuring may take together, without loading. A rate is of uint8 pictures to logits, the median of calls.
    """
    if Path(path).suffix == ".ckpt":
        raise InputError(f"{path}: a checkpoint, which is not tuned; name an ONNX file")
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    reference, meta, size = predict.load(path)
    images, words = sample(meta, size, data, _count(reference, size, seconds))
    expected = _answers(reference, images)
    del reference  # of several sessions each is slower: idle threads wait in the others' way
    if load > cores / 2:
        print(f"load {load:.1f} on {cores} cores: other work goes on here, the rates are a guess", file=sys.stderr)
    threads = sorted({1, max(1, cores // 2), cores}, reverse=True)
    names = [name for name in NAMES if "-" not in name] if "quantized" in meta else NAMES
    share, rows = seconds / (len(names) * len(threads) * len(BATCHES)), []
    for name in names:
        try:
            rows += _measure(by_name.file_of(path, name), name, threads, images, expected, meta, share)
        except InputError as problem:
            if name == "onnx":
                raise
            print(f"{name}: not measured ({problem})", file=sys.stderr)
    kept = tuned.keep(path, rows, least, words)
    print(table(rows))
    print(f"answers: {words or 'not measured, for want of pictures (--data FOLDER)'}")
    print(f"kept for `effnet predict --fast` in {kept}")
    print(verdict(rows, least))


def _measure(file, name, threads, images, expected, meta, share):
    """Rows (tuned.Measured) of one runtime, `share` seconds each."""
    rows, equal = [], None
    for count in threads:
        model = by_name.load(file, name, count)
        if model.meta != meta | {key: model.meta[key] for key in ("quantized",) if key in model.meta}:
            raise InputError(f"{file}: not of the same model; `dvc repro quantize` makes it anew")
        if equal is None and expected is not None:  # threads change no answer
            equal = float((_answers(model, images) == expected).mean())
        for batch in BATCHES:
            rate = float(f"{batch / _median_seconds(model, _noise(batch, model.size), share):.4g}")
            row = {"runtime": name, "threads": count, "batch": batch, "images_per_second": rate, "equal_top1": equal}
            rows.append(row)
    return rows


def _median_seconds(model, images, share):
    model(images)  # which makes room and chooses kernels for this batch
    taken, end = [], time.perf_counter() + share
    while len(taken) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        model(images)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def _count(model, size, seconds):
    """How many pictures' answers `model` gives in a twentieth of the time, PICTURES at most and 32 at least."""
    return int(np.clip(seconds / 20 / _median_seconds(model, _noise(1, (size, size)), 0), 32, PICTURES))


def _noise(count, size):
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3), np.uint8)


def sample(meta, size, data, most):
    """`(uint8 (n, size, size, 3), which they are in words)`: at most so many, spread evenly."""
    if data:
        paths = predict.pictures([data])
        if not any(os.path.isfile(path) for path in paths):
            raise InputError(f"--data: {data}: no pictures there; name a folder, a file or a glob")
        names, read = paths, lambda i: Path(paths[i]).read_bytes()
    elif (PREPARED / "index.json").is_file() and Dataset(PREPARED, "val").class_ids == classes.ids_of(meta):
        dataset = Dataset(PREPARED, "val")
        names, read = dataset.names, dataset.read
    else:
        return np.zeros((0, size, size, 3), np.uint8), ""
    look, found = predict.preset(meta, size), []
    for i in np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int):
        try:
            found.append(look(read(i)))
        except InputError as problem:
            raise InputError(f"--data: {names[i]}: not a readable picture ({problem}); take it out") from None
    return np.stack(found), f"{len(found)} of {len(names):,} pictures of {data or PREPARED}"


def _answers(model, images):
    """(n,) top-1 of each picture; None of no pictures."""
    parts = [model(images[i : i + BATCHES[-1]]).argmax(axis=1) for i in range(0, len(images), BATCHES[-1])]
    return np.concatenate(parts) if parts else None


def table(rows):
    """The rows as text, fastest first of each batch."""
    lines = [HEAD]
    for row in sorted(rows, key=lambda row: (row["batch"], -row["images_per_second"])):
        equal = "not measured" if row["equal_top1"] is None else f"{row['equal_top1']:.1%}"
        texts = [row["runtime"], str(row["threads"]), str(row["batch"]), f"{row['images_per_second']:.1f}"]
        lines.append([*texts, f"{_over_onnx(row, rows):.2f}", equal])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    first, *others = widths
    return "\n".join(
        "  ".join([line[0].ljust(first), *(text.rjust(n) for text, n in zip(line[1:], others, strict=True))])
        for line in lines
    )


def verdict(rows, least):
    """What is faster but was not chosen, and why; last, what is fastest."""
    chosen, fastest = tuned.best(rows, least, BATCHES[-1]), max(rows, key=lambda row: row["images_per_second"])
    said = []
    if fastest["images_per_second"] > chosen["images_per_second"]:
        why = "its answers were not measured"
        if fastest["equal_top1"] is not None:
            why = f"{fastest['equal_top1']:.1%} of its answers are float32's, --least asks for {least:.1%}"
        said = [f"not chosen though faster: {_told(fastest, rows)}: {why}"]
    one = tuned.best(rows, least, 1)
    return "\n".join([*said, f"one at a time: {_told(one, rows)}", f"fastest: {_told(chosen, rows)}"])


def _told(row, rows):
    rate = f"{row['images_per_second']:.1f} images/s, {_over_onnx(row, rows):.2f} x onnx"
    return f"{tuned.told(row)}: {rate}"


def _over_onnx(row, rows):
    """Rate over that of ONNX Runtime in float32 with as large a batch, at its best number of threads."""
    peers = [r["images_per_second"] for r in rows if r["runtime"] == "onnx" and r["batch"] == row["batch"]]
    return row["images_per_second"] / max(peers)
