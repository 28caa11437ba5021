"""What packing costs, and what DVC's no-op costs afterwards.

    python -m bench.prepare

First: pictures/s and peak memory of `prepare` for 1,000, 10,000 and 100,000 small files; the cost of one more picture
must not grow. Then: `dvc status` and `dvc repro` with nothing to do, over the shards of a set as large as ImageNet
(tiny pictures, repeated), against the same commands over 20,000 loose files. Takes some minutes and 4 GB under the
temporary folder.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from effnet import errors
from effnet.recipe import Data
from effnet.shards.dataset import Dataset
from effnet.sources.build import build_shards
from effnet.sources.writer import write_index, write_shard

COUNTS = (1_000, 10_000, 100_000)
SHARDS = {"train": (1_281_167, 128), "val": (50_000, 5)}  # pictures and shards, as for ImageNet
LOOSE = 20_000
CLASSES = 100


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        packed = [alone(packing, Path(folder) / str(count), count) for count in COUNTS]
        opened = alone(large_set, Path(folder) / "large")
        (Path(folder) / "loose").mkdir()
        tree(Path(folder) / "loose" / "made", LOOSE)
        shards, loose = (no_op(Path(folder) / name) for name in ("large", "loose"))
    seconds = [run["seconds"] for run in packed]
    cost = [(seconds[k + 1] - seconds[k]) / (COUNTS[k + 1] - COUNTS[k]) for k in (0, 1)]
    measured = {
        "packing": packed,
        "cost_of_one_more_picture": f"{cost[1] / cost[0]:.2f} of what it was, from {COUNTS[1]:,} to {COUNTS[2]:,}",
        "imagenet_sized_set": opened,
        "no_op_seconds": {"133 shards of 1,331,167 pictures": shards, f"{LOOSE:,} loose files": loose},
    }
    found = {
        "bench": "prepare",
        "ratio": round(loose["dvc status"] / shards["dvc status"], 2),
        "peer": f"dvc status over {LOOSE:,} loose files",
        "goal": "a no-op under 3 seconds",
        "measured": measured,
        "versions": {name: version(name) for name in ("dvc", "numpy", "pillow")},
    }
    print(json.dumps(found))


def alone(work, *arguments):
    """work(*arguments) in a process of its own, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


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


def packing(folder, count):
    tree(folder / "raw", count)
    workers = [0]
    threading.Thread(target=watch, args=(workers,), daemon=True).start()
    settings = {"source": "folder", "root": str(folder / "raw"), "shards": 8, "shorter_side": 0, "bad_images": "stop"}
    data = Data(**settings, batch_size=1, workers=2)
    start = time.perf_counter()
    build_shards(data, folder / "out", min(CLASSES, count // 100))
    seconds = time.perf_counter() - start
    return {
        "pictures": count,
        "seconds": round(seconds, 2),
        "pictures_per_second": round(count / seconds),
        "peak_mb": peak_mb(),
        "peak_mb_of_a_worker": max(workers),
    }


def large_set(folder):
    """Write the shards as prepare would; then what opening and reading them costs."""
    rng, prepared = np.random.default_rng(0), folder / "made"
    classes = [f"n{label:08d}" for label in range(1000)]

    def records(split, count, shards):
        for k, members in enumerate(np.array_split(np.arange(count), shards)):
            file, data = f"{split}-{k:05d}.tar", rng.bytes(400)
            pictures = ((f"n{i % 1000:08d}/n{i % 1000:08d}_{i}.JPEG", data, i % 1000) for i in members)
            yield write_shard(prepared / file, pictures) | {"file": file, "bad": []}

    prepared.mkdir(parents=True)
    write_index(prepared, {}, classes, classes, {split: records(split, *size) for split, size in SHARDS.items()})
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
    index = round((prepared / "index.json").stat().st_size / 1e6, 1)
    return {
        "open_seconds": round(opened, 3),
        "names_seconds": round(named, 3),
        "reads_per_second": round(rate),
        "index_json_mb": index,
        "files": len(list(prepared.iterdir())),
        "peak_mb_of_writing": writing,
    }


def no_op(folder):
    """{command: seconds} over folder/made as the output of a stage; best of three."""
    (folder / "dvc.yaml").write_text("stages:\n  prepare:\n    cmd: mv made prepared\n    outs: [prepared]\n")
    dvc = [sys.executable, "-m", "dvc"]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}

    def run(*command):
        start = time.perf_counter()
        subprocess.run(
            command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return time.perf_counter() - start

    run("git", "init")
    run(*dvc, "init")
    run(*dvc, "config", "cache.type", "hardlink")
    first = run(*dvc, "repro")
    times = {f"dvc {command}": round(min(run(*dvc, command) for _ in range(3)), 2) for command in ("status", "repro")}
    return times | {"first dvc repro": round(first, 2)}


if __name__ == "__main__":
    errors.run(main)
