"""Training pictures per second of this loader, of MindData's fused decoding and of a plain Pillow loader, and of
decoding alone.

    python -m bench.loader [FOLDER] [--rounds 5] [--size 260] [--interpolation bilinear]

FOLDER holds JPEGs, at any depth (default: ../shared/data/imagenet100 beside the checkout). All read the same files in
the same order and give uint8 batches: random resized crop (scale .08-1, ratio 3/4-4/3), resize, flip. They run in turn,
round by round, and what counts is the median over the rounds of the ratio within a round: other work on the machine
then hits all alike. Needs `pip install simplejpeg` beside the project's own packages.
"""

import argparse
import importlib.metadata
import io
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from effnet import errors, recipe
from effnet.data import augment, loader, presets

ROOT = Path(__file__).parents[1]
BATCH = 64
SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class Files:
    """What the loader needs of a data set, over loose files."""

    def __init__(self, paths):
        self.names, self.labels = [str(path) for path in paths], np.zeros(len(paths), np.int32)

    def __len__(self):
        return len(self.names)

    def read(self, i):
        with open(self.names[i], "rb", buffering=0) as file:
            return file.read()


def ours(data, size, interpolation, workers, epoch):
    crop_and_flip = {"crop_scale": SCALE, "crop_ratio": RATIO, "auto_augment": "", "color_jitter": (0.0, 0.0, 0.0)}
    return whole_recipe(data, size, interpolation, workers, epoch, **crop_and_flip)


def whole_recipe(data, size, interpolation, workers, epoch, **changes):
    """Ours with all that recipes/ascend8.yaml does to a training picture: AutoAugment and colour jitter too."""
    changes["interpolation"] = interpolation
    settings = recipe.load(ROOT / "recipes/ascend8.yaml").augment.model_copy(update=changes)
    preset = presets.train_preset(size, settings, seed=1)
    return (batch.images for batch in loader.train_batches(data, preset, BATCH, epoch, seed=1, workers=workers))


def minddata(data, size, interpolation, workers, epoch):
    from mindspore.dataset import ImageFolderDataset, vision

    pipeline = ImageFolderDataset(str(Path(data.names[0]).parents[1]), num_parallel_workers=workers, shuffle=True)
    crop = vision.RandomCropDecodeResize(size, SCALE, RATIO, vision.Inter[interpolation.upper()])
    pipeline = pipeline.map([crop, vision.RandomHorizontalFlip(0.5)], "image", num_parallel_workers=workers)
    pipeline = pipeline.batch(BATCH, drop_remainder=True, num_parallel_workers=workers)
    return (images for images, _ in pipeline.create_tuple_iterator(num_epochs=1, output_numpy=True))


def pillow(data, size, interpolation, workers, epoch):
    def one(i):
        rng = np.random.default_rng([epoch, i])
        image = Image.open(io.BytesIO(data.read(i))).convert("RGB")
        image = image.resize((size, size), FILTERS[interpolation], augment.crop_box(*image.size, SCALE, RATIO, rng))
        return np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image)

    return pooled(one, len(data), workers)


def decoding(data, size, interpolation, workers, epoch):
    from simplejpeg import decode_jpeg

    return pooled(lambda i: decode_jpeg(data.read(i)).shape, len(data), workers, collect=list)


SUBJECTS = {
    "ours": ours,
    "whole recipe": whole_recipe,
    "minddata": minddata,
    "pillow": pillow,
    "decoding": decoding,
}


def pooled(one, count, workers, collect=np.stack):
    """Batches of one(i), made in threads, two batches ahead."""
    with ThreadPoolExecutor(workers) as pool:
        waiting = []
        for start in range(0, count // BATCH * BATCH, BATCH):
            waiting.append([pool.submit(one, i) for i in range(start, start + BATCH)])
            if len(waiting) == 3:
                yield collect([job.result() for job in waiting.pop(0)])
        for jobs in waiting:
            yield collect([job.result() for job in jobs])


def rate(batches):
    """(images per second, images per second of processor time) from the first batch on, when all stages are running."""
    next(batches)
    wall, cpu, count = time.perf_counter(), time.process_time(), 0
    for batch in batches:
        count += len(batch)
    return count / (time.perf_counter() - wall), count / (time.process_time() - cpu)


def measure(folder, rounds, size, interpolation):
    sources = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not sources:
        raise errors.InputError(f"{folder}: no JPEGs in this folder; name one that has some")
    rates = {(name, workers): [] for workers in (1, 2) for name in SUBJECTS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        paths = [folder / f"{i:05d}.jpg" for i in range(max(1000, len(sources)))]
        for i, path in enumerate(paths):
            path.symlink_to(sources[i % len(sources)].resolve())
        data = Files(paths)
        for name in rates:
            rate(SUBJECTS[name[0]](data, size, interpolation, name[1], 0))  # files into memory, code compiled
        for turn in range(rounds):
            for (name, workers), found in rates.items():
                found.append(rate(SUBJECTS[name](data, size, interpolation, workers, turn + 1)))
                wall, cpu = found[-1]
                said = f"round {turn + 1}  {workers} workers  {name:12s} {wall:7.0f} img/s  {cpu:7.0f} per CPU second"
                print(said, file=sys.stderr)
    names = ("mindspore", "pillow", "simplejpeg", "numpy")
    return {
        "bench": "loader",
        "ratio": round(min(ratio(rates, "minddata", 1), ratio(rates, "minddata", 2)), 3),
        "peer": "MindData RandomCropDecodeResize + RandomHorizontalFlip at equal workers, the smaller of 1 and 2",
        "goal": 1.2,
        "measured": figures(rates) | {"size": size, "interpolation": interpolation, "pictures": len(sources)},
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def ratio(rates, peer, workers, kind=0):
    """Ours over the peer's, by wall clock or (kind 1) by processor time."""
    pairs = zip(rates["ours", workers], rates[peer, workers], strict=True)
    return statistics.median(mine[kind] / other[kind] for mine, other in pairs)


def figures(rates):
    """Medians of the rates, {(subject, workers): [(by wall clock, by processor time) of each round]}, and ratios."""
    by_wall = {key: statistics.median(wall for wall, _ in found) for key, found in rates.items()}
    by_cpu = {name: statistics.median(cpu for _, cpu in rates[name, 1]) for name in SUBJECTS}
    over = {
        f"over_{peer}": {f"workers_{workers}": round(ratio(rates, peer, workers), 3) for workers in (1, 2)}
        for peer in ("minddata", "pillow", "decoding")
    }
    needs = {f"{need}/s": round(need / by_cpu["whole recipe"], 1) for need in (250, 1000, 2500)}
    return {
        "images_per_second": {f"{name}_{workers}": round(found) for (name, workers), found in by_wall.items()},
        "images_per_cpu_second": {name: round(found) for name, found in by_cpu.items()},
        **over,
        "over_decoding_goal": 0.8,
        "over_minddata_per_cpu_second": round(ratio(rates, "minddata", 1, 1), 3),
        "cores_per_device": needs,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", default=ROOT.parent / "shared" / "data" / "imagenet100")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=260, help="side of the output, pixels")
    parser.add_argument("--interpolation", choices=["bilinear", "bicubic"], default="bilinear")
    arguments = parser.parse_args()
    print(json.dumps(measure(**vars(arguments))))


if __name__ == "__main__":
    errors.run(main)
