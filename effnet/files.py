"""Files that appear whole or not at all, and digests."""

import contextlib
import csv
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path


@contextlib.contextmanager
def aside(path):
    """A path to write to, of `path`'s own name in a folder aside; what is written takes `path`'s place when the block
    ends well.

    Then it is flushed to disk, made readable for all (0644) and renamed. Whatever stood at `path` stays as it was if
    the block raises or the process dies.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield folder / path.name
        os.chmod(folder / path.name, 0o644)  # MindSpore writes 0400
        with open(folder / path.name, "rb") as file:
            os.fsync(file.fileno())
        os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sync_folder(path.parent)


@contextlib.contextmanager
def whole(path, mode="wb"):
    """Open a file that takes its name only when the block ends well (see `aside`)."""
    with aside(path) as made, open(made, mode) as file:
        yield file


def sync_folder(folder):
    """Make a rename inside `folder` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_json(path, value):
    """Write `value` as indented JSON with a final newline, whole or not at all."""
    with whole(path, "w") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def write_csv(path, rows):
    """Write dictionaries with the same keys as CSV with a header, whole or not at all."""
    with whole(path, "w") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def sha256(path):
    """Hex SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()  # hashlib.file_digest needs Python 3.11
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def digest(*parts):
    """Hex SHA-256 of plain values (what JSON can hold), independent of the order of keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
