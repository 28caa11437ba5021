"""Training pictures per second of this loader, of MindData's fused decoding and of a plain Pillow loader, and of
decoding alone.

    python -m bench.loader [FOLDER] [--rounds 5] [--size 260] [--interpolation bilinear]

FOLDER holds JPEGs, at any depth. All read the same files in the same order and give uint8 batches: random resized crop
(scale .08-1, ratio 3/4-4/3), resize, flip; "whole recipe" is ours with AutoAugment and colour jitter as well. With one
thread and with two.
"""

import io
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from bench import rounds
from bench.onnx import jpegs
from bench.rounds import ROOT, each
from effnet import errors, recipe
from effnet.data import augment, loader, presets

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
    """{"rate": images per second, "per_core": images per second of processor time} from the first batch on, when all
    stages are running.
    """
    next(batches)
    wall, cpu, count = time.perf_counter(), time.process_time(), 0
    for batch in batches:
        count += len(batch)
    return {"rate": count / (time.perf_counter() - wall), "per_core": count / (time.process_time() - cpu)}


def side(name, workers, args):
    """rate() of a subject over the links in args.scratch, after a quarter of them has brought files into memory."""
    paths = jpegs(args.scratch)
    for count in (max(3 * BATCH, len(paths) // 4), len(paths)):
        data = Files(paths[:count])
        found = rate(SUBJECTS[name](data, args.size, args.interpolation, workers, count))
    return found


PEERS = {  # of ours: in words, goal
    "minddata": ("MindData's RandomCropDecodeResize and flip", 1.2),
    "pillow": ("a plain Pillow loader", 1.0),
    "decoding": ("libjpeg-turbo decoding whole pictures, nothing else", 0.8),
}


def main():
    parser = rounds.arguments(__doc__, folder=True)
    parser.add_argument("--size", type=int, default=260, help="side of the output, pixels")
    parser.add_argument("--interpolation", choices=["bilinear", "bicubic"], default="bilinear")
    args = parser.parse_args()
    if args.side:
        print(json.dumps(side(args.side, args.case, args)))
        return 0
    sources = jpegs(args.folder)
    if not sources:
        raise errors.InputError(f"{args.folder}: no JPEGs in this folder; name one that has some")
    turns, rows = rounds.Turns("bench.loader", args), []
    options = ["--size", args.size, "--interpolation", args.interpolation]
    what = f"training pictures, {args.size} pixels, {args.interpolation}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pictures")  # MindData wants a folder of classes
        folder.mkdir()
        for i in range(4 * BATCH if args.tiny else max(1000, len(sources))):
            (folder / f"{i:05d}.jpg").symlink_to(sources[i % len(sources)].resolve())
        for workers in (1, 2):
            found = turns(SUBJECTS, workers, ["--scratch", scratch, *options])
            for peer, (words, goal) in PEERS.items():
                pair = each(found["ours"]), each(found[peer])
                rows.append(rounds.row(f"{what}, {workers} threads", words, *pair, goal))
            if workers == 1:
                pair = each(found["ours"], "per_core"), each(found["minddata"], "per_core")
                rows.append(rounds.row(f"{what}, per second of processor time", PEERS["minddata"][0], *pair, 1.2))
                a_core = {name: statistics.median(each(found[name], "per_core")) for name in ("ours", "whole recipe")}
    needs = {name: {f"{need} images/s": round(need / a_core[name], 1) for need in (250, 1000, 2500)} for name in a_core}
    packages = ("mindspore", "pillow", "simplejpeg", "numpy")
    print(json.dumps(turns.result("loader", rows, packages, pictures=len(sources), cores_for_a_device=needs)))
    return 0


if __name__ == "__main__":
    rounds.program(main)
