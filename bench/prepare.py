"""What packing costs, and what DVC's no-op costs afterwards.

    python -m bench.prepare [--rounds 5]

First: pictures/s and peak memory of `prepare` for 1,000, 10,000 and 100,000 small files; the cost of one more picture
must not grow. Then: `dvc status` and `dvc repro` with nothing to do, over the shards of a set as large as ImageNet
(tiny pictures, repeated), against the same commands over 20,000 loose files. Takes 4 GB under the temporary folder.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from bench import rounds
from bench.rounds import each
from effnet.recipe import Data
from effnet.shards.dataset import Dataset
from effnet.sources.build import build_shards
from effnet.sources.writer import write_index, write_shard

COUNTS = (1_000, 10_000, 100_000)
SHARDS = {"train": (1_281_167, 128), "val": (50_000, 5)}  # pictures and shards, as for ImageNet
LOOSE = 20_000
CLASSES = 100
TINY = {"counts": (100, 400, 1600), "shards": {"train": (2000, 4), "val": (200, 1)}, "loose": 300}


def main():
    args = rounds.arguments(__doc__).parse_args()
    shards, loose = (TINY["shards"], TINY["loose"]) if args.tiny else (SHARDS, LOOSE)
    counts = TINY["counts"] if args.tiny else COUNTS
    if args.side:
        work = {
            "trees": lambda: trees(args.scratch, counts, loose),
            "packing": lambda: packing(args.scratch, args.case),
            "large": lambda: large_set(args.scratch, shards),
            "shards": lambda: no_op(args.scratch / "shards"),
            "loose": lambda: no_op(args.scratch / "loose"),
        }
        print(json.dumps(work[args.side]()))
        return 0
    turns = rounds.Turns("bench.prepare", args)
    with tempfile.TemporaryDirectory() as scratch:
        here = ["--scratch", scratch]
        turns.prepare("trees", also=here)
        packed = {count: turns(["packing"], count, here)["packing"] for count in counts}
        large = turns.prepare("large", also=here)
        found = turns(["shards", "loose"], also=here)
    pictures, files = (sum(size[k] for size in shards.values()) for k in (0, 1))
    rows = []
    for name in ("status", "repro"):
        what = f"`dvc {name}` with nothing to do, {files} shards of {pictures:,} pictures"
        mine, theirs = each(found["shards"], name), each(found["loose"], name)
        rows.append(rounds.row(what, f"{loose:,} loose files", mine, theirs, unit="1/s"))
        rows.append(rounds.row(what, "3 seconds", mine, [1 / 3] * len(mine), unit="1/s"))
    first, second, third = counts
    earlier, later = (
        [(j - i) / (b - a) for a, b in zip(each(packed[i], "seconds"), each(packed[j], "seconds"), strict=True)]
        for i, j in ((first, second), (second, third))
    )
    what = f"packing, one more picture at {third:,}"
    rows.append(rounds.row(what, f"one more at {second:,}", later, earlier, goal=0.8, unit="pictures/s"))
    measured = {"packing": packed[third][-1], "imagenet_sized_set": large}
    print(json.dumps(turns.result("prepare", rows, ("dvc", "numpy", "pillow"), **measured)))
    return 0


def peak_mb(process="self"):
    """Peak resident memory of a process since its program began."""
    status = Path(f"/proc/{process}/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def watch(peaks):
    """Append the peaks of this process's children, ten times a second; getrusage would count a child's life before
    exec as well.
    """
    while True:
        for children in Path("/proc/self/task").glob("*/children"):
            with contextlib.suppress(OSError, IndexError):  # a child may end meanwhile
                peaks.extend(map(peak_mb, children.read_text().split()))
        time.sleep(0.1)


def pictures(count=20):
    for seed in range(count):
        out, coarse = io.BytesIO(), np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((64, 64)).save(out, "JPEG", quality=90)
        yield out.getvalue()


def tree(root, count):
    """A folder of `count` small files, of which 1% validate."""
    data = list(pictures())
    for i in range(count):
        folder = root / ("train" if i % 100 else "val") / f"class{i // 100 % CLASSES:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"picture_{i:08d}.JPEG").write_bytes(data[i % len(data)])


def trees(folder, counts, loose):
    """Files to pack, `counts` of them, and loose ones that are a stage's output."""
    for count in counts:
        tree(folder / f"raw{count}", count)
    tree(folder / "loose/made", loose)
    tracked(folder / "loose")
    return {}


def packing(folder, count):
    workers = [0]
    threading.Thread(target=watch, args=(workers,), daemon=True).start()
    settings = {
        "source": "folder",
        "root": str(folder / f"raw{count}"),
        "shards": 8,
        "shorter_side": 0,
        "subset": False,
    }
    data = Data(**settings, bad_images="stop", batch_size=1, workers=2)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        start = time.perf_counter()
        build_shards(data, Path(out) / "out", min(CLASSES, count // 100))
        seconds = time.perf_counter() - start
    return {
        "pictures": count,
        "seconds": seconds,
        "pictures_per_second": round(count / seconds),
        "peak_mb": peak_mb(),
        "peak_mb_of_a_worker": max(workers),
    }


def large_set(folder, shards):
    """Write the shards as prepare would and let DVC track them; then what opening and reading them costs."""
    rng, prepared = np.random.default_rng(0), folder / "shards/made"
    classes = [f"n{label:08d}" for label in range(1000)]

    def records(split, count, shards):
        for k, members in enumerate(np.array_split(np.arange(count), shards)):
            file, data = f"{split}-{k:05d}.tar", rng.bytes(400)
            pictures = ((f"n{i % 1000:08d}/n{i % 1000:08d}_{i}.JPEG", data, i % 1000) for i in members)
            yield write_shard(prepared / file, pictures) | {"file": file, "bad": []}

    prepared.mkdir(parents=True)
    write_index(prepared, {}, classes, classes, {split: records(split, *size) for split, size in shards.items()})
    writing = peak_mb()
    start = time.perf_counter()
    dataset = Dataset(prepared, "train")
    opened = time.perf_counter() - start
    start = time.perf_counter()
    assert len(dataset.names) == len(dataset)
    named = time.perf_counter() - start
    order = rng.permutation(len(dataset))[:100_000].tolist()
    start = time.perf_counter()
    for i in order:
        dataset.read(i)
    rate = len(order) / (time.perf_counter() - start)
    found = {
        "open_seconds": round(opened, 3),
        "names_seconds": round(named, 3),
        "reads_per_second": round(rate),
        "index_json_mb": round((prepared / "index.json").stat().st_size / 1e6, 1),
        "files": len(list(prepared.iterdir())),
        "peak_mb_of_writing": writing,
    }
    tracked(folder / "shards")
    return found


def dvc(folder, *command):
    """Run DVC in a folder; seconds."""
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "dvc", *command], cwd=folder, env=environment, check=True, capture_output=True
    )
    return time.perf_counter() - start


def tracked(folder):
    """Make folder/made the output of a stage that has run."""
    (folder / "dvc.yaml").write_text("stages:\n  prepare:\n    cmd: mv made prepared\n    outs: [prepared]\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    for command in ("init", "config cache.type hardlink", "config core.check_update false", "repro"):
        dvc(folder, *command.split())


def no_op(folder):
    """{command: how often a second it runs} with nothing to do."""
    return {command: 1 / dvc(folder, command) for command in ("status", "repro")}


if __name__ == "__main__":
    rounds.program(main)
