"""Writes what effnet/shards reads: shards and their index."""

import hashlib
import tarfile
from pathlib import Path

import numpy as np

from effnet.files import sha256, whole, write_json
from effnet.shards.dataset import ROW, checksum
from effnet.shards.index import FORMAT


def write_shard(path, pictures):
    """Write `pictures`, an iterable of (name, bytes, label), as a tar at `path`, whole or not at all.

    Returns the shard's record, plain enough for JSON: bytes, sha256, and lists names, labels, offsets, sizes, checks.
    """
    record = {"names": [], "labels": [], "offsets": [], "sizes": [], "checks": []}
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
            for key, value in zip(record, (name, label, position, len(data), checksum(data)), strict=True):
                record[key].append(value)
            put(data)
            put(bytes(-len(data) % tarfile.BLOCKSIZE))
        put(bytes(2 * tarfile.BLOCKSIZE))
    return {"bytes": position, "sha256": digest.hexdigest()} | record


def write_index(folder, recipe, class_ids, classes, splits):
    """Write everything but the shards.

    splits  {split: iterable of shards' records in order}, each a record of write_shard with "file" and "bad" (what was
            left out) added; taken one at a time, so that memory does not grow with them
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
        index["splits"][split] = {
            "images": len(rows),
            "skipped": sorted(skipped),
            "sha256": checksums,
            "shards": shards,
        }
    write_json(folder / "index.json", index)


def _rows(shard, record):
    rows = np.zeros(len(record["names"]), ROW)
    rows["shard"] = shard
    for column, key in (("offset", "offsets"), ("size", "sizes"), ("label", "labels"), ("check", "checks")):
        rows[column] = record[key]
    return rows


def _summary(record, class_ids):
    labels, counts = np.unique(np.array(record["labels"], np.int64), return_counts=True)
    classes = {class_ids[label]: int(count) for label, count in zip(labels, counts, strict=True)}
    return {key: record[key] for key in ("file", "bytes", "sha256")} | {
        "images": len(record["names"]),
        "classes": classes,
    }
