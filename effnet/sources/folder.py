"""Pictures in class folders, train/CLASS/* and val/CLASS/*, as the lists that `prepare` packs."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from effnet.errors import InputError

VAL_SHARE = 0.2  # where a data set comes without a split


class Split(NamedTuple):
    """Where the pictures of one split are. Lists and arrays are in step, one entry per picture.

    names   "class/file", the name a picture goes by from here on
    labels  (n,) int32 class index
    place   a folder, or a tar archive
    files   paths inside the folder; None in an archive
    spans   (n, 2) int64 offset and size, bytes, inside the archive; None in a folder
    """

    names: list
    labels: np.ndarray
    place: str
    files: list | None
    spans: np.ndarray | None = None


class Source(NamedTuple):
    """A data set: its two splits, the class folders' names in class index order (sorted), and the classes' names for
    people.
    """

    train: Split
    val: Split
    class_ids: list
    classes: list


def read(root):
    """The Source in the folder `root`.

    Raises InputError for a missing folder, an empty class, or a val class that train lacks.
    """
    root = Path(root)
    for split in ("train", "val"):
        if not (root / split).is_dir():
            raise InputError(f"{root / split}: no such folder; data.root must hold train/CLASS/* and val/CLASS/*")
    class_ids = subfolders(root / "train")
    unknown = sorted(set(subfolders(root / "val")) - set(class_ids))
    if unknown:
        raise InputError(f"{root}: val/ has {len(unknown)} classes that train/ has not: {', '.join(unknown[:5])}")
    return Source(list_split(root / "train", class_ids), list_split(root / "val", class_ids), class_ids, class_ids)


def divide(root):
    """The Source in `root`/CLASS/*, which comes without a split: of each class a fixed fifth validates."""
    class_ids = subfolders(root)
    every = list_split(Path(root), class_ids)
    val = np.zeros(len(every.names), bool)
    for label in range(len(class_ids)):
        members = np.flatnonzero(every.labels == label)
        val[members] = held_out(len(members), label)
    train, val = (take(every, np.flatnonzero(chosen)) for chosen in (~val, val))
    return Source(train, val, class_ids, class_ids)


def held_out(count, seed):
    """(count,) bool: a random fifth, the same for the same count and seed."""
    chosen = np.zeros(count, bool)
    chosen[shuffled(count, seed)[: round(count * VAL_SHARE)]] = True
    return chosen


def shuffled(count, seed):
    """(count,) int64: the numbers below `count` in random order, made of Philox's raw bits, which NumPy keeps the
    same in all versions.
    """
    return np.argsort(np.random.Philox(key=seed).random_raw(count), kind="stable")


def take(split, members):
    """The Split of the pictures whose numbers are `members`, in that order."""
    return Split(
        [split.names[i] for i in members],
        split.labels[members],
        split.place,
        split.files and [split.files[i] for i in members],
        None if split.spans is None else split.spans[members],
    )


def subfolders(folder):
    """Names of the folders in `folder`, sorted; hidden ones are left alone. Raises InputError if there is none."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    for name in names:
        if not name.isprintable():  # line breaks, escape codes, bytes that are no UTF-8
            raise InputError(
                f"{os.path.join(folder, name)!r}: a name with characters that cannot be printed; rename it"
            )
    if not names:
        raise InputError(f"{folder}: no class folders in it; expected {folder}/CLASS/*")
    return names


def list_split(folder, class_ids):
    """The Split of `folder`/CLASS/*, sorted by name; a class may be missing, but not be an empty folder."""
    names, labels = [], []
    for label, class_id in enumerate(class_ids):
        if not (Path(folder) / class_id).is_dir():
            continue
        files = list_files(Path(folder) / class_id)
        names += [f"{class_id}/{file}" for file in files]
        labels += [label] * len(files)
    return Split(names, np.array(labels, np.int32), str(folder), names)


def list_files(folder):
    """Names of the files in `folder`, sorted; hidden ones are left alone."""
    entries = sorted(
        (entry for entry in os.scandir(folder) if not entry.name.startswith(".")), key=lambda entry: entry.name
    )
    if not entries:
        raise InputError(f"{folder}: an empty folder; put the class's pictures there or remove it")
    for entry in entries:
        if not entry.is_file():
            raise InputError(f"{entry.path}: not a file; a class folder may hold pictures only")
        # a line break would tear the list of names; an undecodable byte cannot be written
        if not entry.name.isprintable():
            raise InputError(f"{entry.path!r}: a file name with characters that cannot be printed; rename it")
    return [entry.name for entry in entries]
