"""Pictures as they lie - a folder of class folders, files named by wnid, ImageNet's validation archive - as a data set
that is numbered as a model numbers its classes.
"""

import functools
import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from effnet.errors import InputError
from effnet.files import digest
from effnet.loose import ENDINGS
from effnet.results import classes
from effnet.sources import imagenet

ANNOTATIONS = "val_annotations.txt"  # Tiny ImageNet's: file, wnid, box
VALIDATION = ("val", "validation")  # where a data set has splits, the one that is evaluated


class Found(NamedTuple):
    """Pictures and the name of each one's class, in step: `names` "class/file", `of` class names, and either `files`,
    their paths, or `spans` (n, 2) offset and size in the archive `place`; `said`: what else a reader must know.
    """

    names: list
    of: list
    said: list
    files: list | None = None
    place: str = ""
    spans: list | None = None


class Pictures:
    """The pictures `found` at `path`, with effnet.shards.dataset.Dataset's interface, as the model of `meta` counts.

    labels   (n,) int32: the model's output for each picture's class
    present  the outputs of which there are pictures, rising
    said     in words: how many pictures, how their classes were found, what was left out
    digest   hex SHA-256 of names, classes and bytes; what was not read yet is read for it

    Raises InputError where a class is none of the model's.
    """

    def __init__(self, path, found, meta):
        self._found, self.names = found, found.names
        self.classes, self.class_ids = meta["classes"], classes.ids_of(meta)
        folders = sorted(set(found.of))
        outputs, words = classes.find(path, folders, meta)
        output_of = dict(zip(folders, outputs, strict=True))
        self.labels = np.array([output_of[name] for name in found.of], np.int32)
        self.present = sorted(outputs)
        self.said = [f"{len(self):,} pictures, {len(folders):,} classes read as {words}", *found.said]
        self._archive = open(found.place, "rb", buffering=0) if found.place else None
        self._digests = [None] * len(self)

    def __len__(self):
        return len(self.names)

    def read(self, i):
        """The bytes of picture `i`. Safe to call from any number of threads."""
        if self._archive:
            offset, size = self._found.spans[i]
            data = os.pread(self._archive.fileno(), size, offset)
        else:
            data = Path(self._found.files[i]).read_bytes()
        if self._digests[i] is None:
            self._digests[i] = hashlib.sha256(data).hexdigest()
        return data

    @functools.cached_property
    def digest(self):
        for i, known in enumerate(self._digests):
            if known is None:
                self.read(i)
        return digest(self.names, [self.class_ids[label] for label in self.labels], self._digests)


def find(path):
    """`Found` of what lies at `path`.

    Raises InputError where there is nothing, no picture, or a picture without a class.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; DATA names class folders, ImageNet's archive, or pictures")
    if path.is_file():
        return _archive(path)
    if (path / imagenet.VAL_TAR).is_file():
        return _archive(path / imagenet.VAL_TAR)
    for split in VALIDATION:
        if (path / split).is_dir():
            found = find(path / split)
            return found._replace(said=[f"of {path}, the folder {split}/", *found.said])
    files, others = _list(path)
    if not files:
        raise InputError(f"{path}: no pictures in it ({', '.join(ENDINGS)})")
    of = _annotated(path, files) or _by_folder(path, files) or _by_name(path, files)
    said = [f"{len(others)} files left out that are no pictures: {', '.join(others[:3])}"] if others else []
    folders = {entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith(".")}
    if empty := sorted(folders - {file.split(os.sep)[0] for file in files}):
        said.append(f"{len(empty)} folders without pictures: {', '.join(empty[:3])}")
    names = [f"{name}/{os.path.basename(file)}" for name, file in zip(of, files, strict=True)]
    repeated = {name for name, count in Counter(names).items() if count > 1}  # one file name in two subfolders
    names = [file if name in repeated else name for name, file in zip(names, files, strict=True)]
    return Found(names, of, said, [str(path / file) for file in files])


def _list(path):
    """Names below `path`, sorted: pictures, and other files. Hidden ones are left alone."""
    pictures, others = [], []
    for folder, folders, files in os.walk(path, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            if not file.startswith("."):
                kind = pictures if file.lower().endswith(ENDINGS) else others
                kind.append(os.path.relpath(os.path.join(folder, file), path))
    return sorted(pictures), sorted(others)


def _annotated(path, files):
    if not (path / ANNOTATIONS).is_file():
        return None
    lines = (path / ANNOTATIONS).read_text().splitlines()
    wnids = dict(line.split("\t")[:2] for line in lines if "\t" in line)
    of = [wnids.get(os.path.basename(file)) for file in files]
    _refuse_without(path, files, of, f"{ANNOTATIONS} does not name them")
    return of


def _by_folder(path, files):
    of = [file.split(os.sep)[0] if os.sep in file else None for file in files]
    if not any(of):
        return None
    _refuse_without(path, files, of, "they lie beside the class folders")
    return of


def _by_name(path, files):
    """The class of files that lie in no folder: a wnid at the beginning of the name, or what the devkit says of it."""
    if all(imagenet.VAL_NAME.fullmatch(file) for file in files):
        beside = any((path / name).exists() for name in (imagenet.DEVKIT, imagenet.DEVKIT_TAR))
        return _truth(path if beside else path.parent, files)
    of = [match[0] if (match := classes.WNID.match(file)) else None for file in files]
    _refuse_without(path, files, of, "they lie in no class folder and their names begin with no wnid")
    return of


def _archive(path):
    if path.suffix != ".tar":
        raise InputError(f"{path}: neither a folder nor a .tar; unpack it, and name the folder")
    with open(path, "rb") as file:
        members = sorted(imagenet.members(file))
    if not members:
        raise InputError(f"{path}: no pictures in it")
    files = [name for name, _, _ in members]
    of = _by_name(path.parent, files)
    names = [f"{name}/{file}" for name, file in zip(of, files, strict=True)]
    return Found(names, of, [], None, str(path), [span for _, *span in members])


def _truth(root, files):
    """The wnids of ImageNet's validation files by the devkit in `root`."""
    devkit = imagenet.read_devkit(root)
    numbers = [int(imagenet.VAL_NAME.fullmatch(file)[1]) for file in files]
    strange = [file for file, number in zip(files, numbers, strict=True) if not 0 < number <= len(devkit.val_labels)]
    if strange:
        raise InputError(f"{root}: {len(strange)} pictures that the devkit does not know: {', '.join(strange[:3])}")
    return [devkit.wnids[devkit.val_labels[number - 1]] for number in numbers]


def _refuse_without(path, files, of, why):
    without = [file for file, name in zip(files, of, strict=True) if not name]
    if without:
        raise InputError(f"{path}: {len(without)} pictures without a class, {why}: {', '.join(without[:3])}")
