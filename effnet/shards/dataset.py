"""Prepared pictures on disk: plain tar shards, and an index that makes every picture of the set reachable by one pread.

    index.json     classes, and for each shard its bytes, SHA-256 and how many pictures of which class it holds
    train.npy      one row per picture: offset, size, shard, label; val.npy likewise
    train.txt      one name ("class/file") per picture; val.txt likewise
    train-00000.tar ...  the pictures' own bytes; any tar tool reads them

Everything in the folder is a function of the pictures and the recipe alone: no times, no owners, no places.
"""

import functools
import hashlib
import json
import os
from pathlib import Path

import numpy as np

from effnet.errors import InputError

ROW = np.dtype([("offset", "<i8"), ("size", "<i4"), ("shard", "<i4"), ("label", "<i4")])
FORMAT = 1


class Dataset:
    """The pictures of one split ('train' or 'val') of a prepared folder, in the order of its shards.

    labels   (n,) int32: class index; class_ids[label] is the class folder's name (sorted), classes[label] the name for
             people
    names    list of "class/file", one per picture
    digest   hex SHA-256 of the index, and so of everything in the folder

    Raises InputError where the folder is not prepared, or a shard is missing or has another size than the index says.
    """

    def __init__(self, folder, split):
        self._folder, self._split = Path(folder), split
        index_file = self._folder / "index.json"
        try:
            text = index_file.read_bytes()
        except FileNotFoundError:
            raise InputError(f"{index_file}: no prepared pictures here; run `dvc repro prepare` first") from None
        index = json.loads(text)
        if index["format"] != FORMAT:
            raise InputError(
                f"{index_file}: format {index['format']}, this version reads {FORMAT}; prepare the pictures again"
            )
        self.digest = hashlib.sha256(text).hexdigest()
        self.class_ids, self.classes = index["class_ids"], index["classes"]
        self._rows = np.load(self._folder / f"{split}.npy")
        self.labels = np.ascontiguousarray(self._rows["label"])
        self._shards = index["splits"][split]["shards"]
        for shard in self._shards:
            path = self._folder / shard["file"]
            size = path.stat().st_size if path.is_file() else 0
            if size != shard["bytes"]:
                raise InputError(
                    f"{path}: {size:,} bytes, the index says {shard['bytes']:,}; "
                    "prepare the pictures again (or `dvc checkout`)"
                )
        self._files = [open(self._folder / shard["file"], "rb", buffering=0) for shard in self._shards]

    def __len__(self):
        return len(self._rows)

    def read(self, i):
        """The bytes of picture `i` as its file had them. Safe to call from any number of threads."""
        row = self._rows[i]
        file = self._files[row["shard"]]
        data = os.pread(file.fileno(), row["size"], row["offset"])
        if len(data) != row["size"]:
            raise InputError(f"{file.name}: ends inside picture {i}; prepare the pictures again (or `dvc checkout`)")
        return data

    @functools.cached_property
    def names(self):
        return (self._folder / f"{self._split}.txt").read_text("utf-8").splitlines()
