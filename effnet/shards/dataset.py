"""Prepared pictures on disk: plain tar shards, and an index that makes every picture of the set reachable by one pread.

    index.json     classes, and for each shard its bytes, SHA-256 and how many pictures of which class it holds
    train.npy      one row per picture: offset, size, shard, label, checksum; val.npy likewise
    train.txt      one name ("class/file") per picture; val.txt likewise
    train-00000.tar ...  the pictures' own bytes; any tar tool reads them

Everything in the folder is a function of the pictures and the recipe alone: no times, no owners, no places.
"""

import functools
import hashlib
import os
from pathlib import Path

import numpy as np
import xxhash

from effnet.errors import InputError
from effnet.shards import index as parsed

ROW = np.dtype([("offset", "<i8"), ("size", "<i4"), ("shard", "<i4"), ("label", "<i4"), ("check", "<u8")])
AGAIN = "prepare the pictures again (or `dvc checkout data/prepared`)"
checksum = xxhash.xxh3_64_intdigest  # of a picture's bytes: a hundredth of what decoding them takes


class Dataset:
    """The pictures of one split ('train' or 'val') of a prepared folder, in the order of its shards.

    labels   (n,) int32: class index; class_ids[label] is the class folder's name (sorted), classes[label] the name for
             people
    names    list of "class/file", one per picture
    digest   hex SHA-256 of the index, and so of everything in the folder
    recipe   {key: value} of the recipe's section data, as it was when they were prepared

    Raises InputError where the folder is not prepared, a file of it is damaged, or a shard is missing or has another
    size than the index says.
    """

    def __init__(self, folder, split):
        self._folder, self._split = Path(folder), split
        self.digest, index = parsed.read(self._folder / "index.json")
        self.recipe, self.class_ids, self.classes = index.recipe, index.class_ids, index.classes
        if split not in index.splits:
            raise InputError(f"{self._folder / 'index.json'}: no split '{split}' in it; {AGAIN}")
        found = index.splits[split]
        self._shards = found.shards
        for name in (f"{split}.npy", f"{split}.txt"):
            path = self._folder / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != found.sha256.get(name):
                raise InputError(f"{path}: damaged or missing: not the file that index.json names; {AGAIN}")
        self._rows = np.load(self._folder / f"{split}.npy")
        if self._rows.dtype != ROW or len(self._rows) != found.images or not self._fit():
            raise InputError(f"{self._folder / split}.npy: not the table that index.json describes; {AGAIN}")
        self.labels = np.ascontiguousarray(self._rows["label"])
        for shard in self._shards:
            path = self._folder / shard.file
            size = path.stat().st_size if path.is_file() else 0
            if size != shard.bytes:
                raise InputError(f"{path}: {size:,} bytes, the index says {shard.bytes:,}; {AGAIN}")
        self._files = [open(self._folder / shard.file, "rb", buffering=0) for shard in self._shards]

    def _fit(self):
        """Whether each row is of a shard, a place in it and a class that are there."""
        rows, sizes = self._rows, np.array([shard.bytes for shard in self._shards])
        if not len(rows):
            return True
        known = (rows["shard"] >= 0) & (rows["shard"] < len(sizes)) & (rows["offset"] >= 0) & (rows["size"] >= 0)
        known &= (rows["label"] >= 0) & (rows["label"] < len(self.class_ids))
        return known.all() and (rows["offset"] + rows["size"] <= sizes[rows["shard"]]).all()

    def __len__(self):
        return len(self._rows)

    def read(self, i):
        """The bytes of picture `i` as its file had them. Safe to call from any number of threads."""
        row = self._rows[i]
        file = self._files[row["shard"]]
        data = os.pread(file.fileno(), row["size"], row["offset"])
        if len(data) != row["size"]:
            raise InputError(f"{file.name}: ends inside picture {i}; {AGAIN}")
        if checksum(data) != row["check"]:
            raise InputError(f"{file.name}: picture {i} ({self.names[i]}) is damaged; {AGAIN}")
        return data

    @functools.cached_property
    def names(self):
        return (self._folder / f"{self._split}.txt").read_text("utf-8").splitlines()
