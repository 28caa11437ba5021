"""From a data source to a folder of shards: in parallel, restartable, the folder and each shard there in full or not at
all.

Everything is built in FOLDER.part, beside FOLDER: what is finished there survives a kill -9 or a full disk, and the
next run takes it over where its key - a digest of all that decides a shard's bytes - and its checksum still fit. The
last act is to rename the folder.
"""

import contextlib
import errno
import fcntl
import functools
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from effnet.errors import InputError
from effnet.files import sync_folder
from effnet.sources import digits, fashion, imagenet, published
from effnet.sources import folder as folders
from effnet.sources.pack import pack
from effnet.sources.raw import located
from effnet.sources.writer import write_index

SEED = 0  # of the order in the shards; training shuffles over the whole set again, every epoch


def build_shards(data, folder, class_num):
    """Pack the source that `data` (a recipe's section) names into shards in `folder`, replacing what was there. A
    `class_num` of 0 takes any number of classes.

    The folder's bytes depend on the pictures and on source, shards, shorter_side and bad_images, not on the number of
    processes. Raises InputError for a source that is not as it should be, an unreadable picture (unless data.bad_images
    is 'skip'), a full disk, or another `prepare` at work on the same folder.
    """
    folder = Path(folder)
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    try:
        with _alone(part), _source(data) as source:
            if class_num not in (0, len(source.class_ids)):
                raise InputError(_disagreement(data, source.class_ids, class_num))
            _build(source, data, part)
            _publish(part, folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        kept = len(list(part.glob("*.tar")))
        raise InputError(
            f"{part}: {os.strerror(error.errno).lower()}; the {kept} finished shards are kept: make room and run again"
        ) from None


@contextlib.contextmanager
def _alone(part):
    with open(part / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{part}: another `prepare` is at work here; wait for it or stop it") from None
        yield


@contextlib.contextmanager
def _source(data):
    name, root, subset = data.source, data.root, data.subset
    if name == "digits":
        with tempfile.TemporaryDirectory() as root:
            digits.write(root)
            yield folders.read(root)
        return
    if not root:
        raise InputError(f"data.root: empty; name the folder of the pictures (data.source: {name})")
    root = located(root)
    if name == "fashion":
        with tempfile.TemporaryDirectory() as work:
            yield fashion.read(root, work)
        return
    yield {
        "folder": folders.read,
        "imagenet": functools.partial(imagenet.read, subset=subset),
        "flowers": published.flowers,
        "imagenette": published.imagenette,
    }[name](root)


def _disagreement(data, class_ids, class_num):
    names = ", ".join(class_ids[:5]) + (", ..." if len(class_ids) > 5 else "")
    return (
        f"data.root: {data.root or data.source} has {len(class_ids)} classes ({names}), model.class_num says "
        f"{class_num}; write {len(class_ids)} there, or 0 to take as many as there are"
    )


def _build(source, data, part):
    """Write the shards, then the index. A fixed shuffle of each whole split mixes the classes in every shard."""
    for leftover in part.glob(".*.part"):
        shutil.rmtree(leftover)
    counts = {"train": data.shards, "val": max(1, round(data.shards * len(source.val.names) / len(source.train.names)))}
    jobs = []
    for name, count in counts.items():
        split = getattr(source, name)
        if count > len(split.names):
            raise InputError(f"data.shards: {count} shards for {len(split.names)} pictures in {name}; use fewer")
        order = folders.shuffled(len(split.names), SEED)
        jobs += [
            (part / f"{name}-{k:05d}.tar", folders.take(split, members))
            for k, members in enumerate(np.array_split(order, count))
        ]
    pack(jobs, data.shorter_side, data.bad_images, data.workers or len(os.sched_getaffinity(0)))

    settings = {key: getattr(data, key) for key in ("source", "shards", "shorter_side", "bad_images")}
    write_index(
        part,
        settings,
        source.class_ids,
        source.classes,
        {name: _records(part, name, count) for name, count in counts.items()},
    )
    _tell(part, source)


def _records(part, split, count):
    for k in range(count):
        yield json.loads((part / f"{split}-{k:05d}.json").read_text())


def _tell(part, source):
    """Say what was left out. Raises InputError where nothing is left of a split, or of a class in it."""
    skipped = []
    for name, split in json.loads((part / "index.json").read_text())["splits"].items():
        skipped += split["skipped"]
        left = set(np.load(part / f"{name}.npy")["label"].tolist())
        if lost := sorted(set(getattr(source, name).labels.tolist()) - left):
            named = ", ".join(source.class_ids[label] for label in lost[:5])
            raise InputError(
                f"{name}: none of the pictures of {len(lost)} of the {len(source.class_ids)} classes can be read "
                f"({named}), e.g. {split['skipped'][0]}; mend them, or take these folders out"
            )
    if skipped:
        print(
            f"{len(skipped)} unreadable pictures left out, all named in index.json: {'; '.join(skipped[:10])}",
            file=sys.stderr,
        )


def _publish(part, folder):
    """Give the finished folder its name. Only now go the files of an earlier recipe, and the notes for a restart."""
    splits = json.loads((part / "index.json").read_text())["splits"]
    keep = {".lock", "index.json"}.union(*(split["sha256"] for split in splits.values()))
    keep.update(shard["file"] for split in splits.values() for shard in split["shards"])
    for path in part.iterdir():
        if path.name not in keep:
            path.unlink()
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    (folder / ".lock").unlink()
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
