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
import tarfile
from pathlib import Path

import numpy as np

from effnet.errors import InputError
from effnet.files import sha256, whole, write_json

ROW = np.dtype([("offset", "<i8"), ("size", "<i4"), ("shard", "<i4"), ("label", "<i4")])
FORMAT = 1


class Dataset:
    """The pictures of one split ('train' or 'val') of a prepared folder, in the order of its shards.

    labels   (n,) int32: class index; class_ids[label] is the class folder's name (sorted), classes[label] the name for people
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
            raise InputError(f"{index_file}: format {index['format']}, this version reads {FORMAT}; prepare the pictures again")
        self.digest = hashlib.sha256(text).hexdigest()
        self.class_ids, self.classes = index["class_ids"], index["classes"]
        self._rows = np.load(self._folder / f"{split}.npy")
        self.labels = np.ascontiguousarray(self._rows["label"])
        self._shards = index["splits"][split]["shards"]
        for shard in self._shards:
            path = self._folder / shard["file"]
            size = path.stat().st_size if path.is_file() else 0
            if size != shard["bytes"]:
                raise InputError(f"{path}: {size:,} bytes, the index says {shard['bytes']:,}; prepare the pictures again (or `dvc checkout`)")
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


def write_shard(path, pictures):
    """Write `pictures`, an iterable of (name, bytes, label), as a tar at `path`, whole or not at all.

    Returns the shard's record, plain enough for JSON: bytes, sha256, and lists names, labels, offsets, sizes.
    """
    record = {"names": [], "labels": [], "offsets": [], "sizes": []}
    digest, position = hashlib.sha256(), 0
    with whole(path) as file:

        def put(data):
            nonlocal position
            file.write(data)
            digest.update(data)
            position += len(data)

        for name, data, label in pictures:
            member = tarfile.TarInfo(name)  # mode 0644, no time, no owner: the same bytes wherever it is written
            member.size = len(data)
            put(member.tobuf(tarfile.PAX_FORMAT))
            for key, value in zip(record, (name, label, position, len(data))):
                record[key].append(value)
            put(data)
            put(bytes(-len(data) % tarfile.BLOCKSIZE))
        put(bytes(2 * tarfile.BLOCKSIZE))
    return {"bytes": position, "sha256": digest.hexdigest()} | record


def write_index(folder, recipe, class_ids, classes, splits):
    """Write everything but the shards.

    splits  {split: iterable of shards' records in order}, each a record of write_shard with "file" and "bad" (what was left out)
            added; taken one at a time, so that memory does not grow with them
    """
    folder = Path(folder)
    index = {"format": FORMAT, "recipe": recipe, "class_ids": class_ids, "classes": classes, "splits": {}}
    for split, records in splits.items():
        rows, shards, skipped = [], [], []
        with whole(folder / f"{split}.txt") as names:
            for record in records:
                names.writelines(f"{name}\n".encode() for name in record["names"])
                rows.append(_rows(len(shards), record))
                shards.append(_summary(record, class_ids))
                skipped += record["bad"]
        rows = np.concatenate(rows)
        with whole(folder / f"{split}.npy") as table:
            np.lib.format.write_array(table, rows, version=(1, 0), allow_pickle=False)
        checksums = {file: sha256(folder / file) for file in (f"{split}.npy", f"{split}.txt")}
        index["splits"][split] = {"images": len(rows), "skipped": sorted(skipped), "sha256": checksums, "shards": shards}
    write_json(folder / "index.json", index)


def _rows(shard, record):
    rows = np.zeros(len(record["names"]), ROW)
    rows["shard"] = shard
    for column, key in (("offset", "offsets"), ("size", "sizes"), ("label", "labels")):
        rows[column] = record[key]
    return rows


def _summary(record, class_ids):
    labels, counts = np.unique(np.array(record["labels"], np.int64), return_counts=True)
    classes = {class_ids[label]: int(count) for label, count in zip(labels, counts)}
    return {key: record[key] for key in ("file", "bytes", "sha256")} | {"images": len(record["names"]), "classes": classes}
