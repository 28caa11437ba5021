"""Files that appear whole or not at all, and digests."""

import contextlib
import csv
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from effnet.errors import InputError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "effnet"  # the user's, for all checkouts


@contextlib.contextmanager
def aside(path):
    """A path to write to, of `path`'s own name in a folder aside; what is written takes `path`'s place when the block
    ends well.

    Then it is flushed to disk, made readable for all (0644) and renamed. Whatever stood at `path` stays as it was if
    the block raises or the process dies; what a process that died left aside is removed. A full disk's OSError names
    `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    folder, held = _folder_aside(path)
    try:
        with naming(path):
            yield folder / path.name
            os.chmod(folder / path.name, 0o644)  # MindSpore writes 0400
            with open(folder / path.name, "rb") as file:
                os.fsync(file.fileno())
        os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)
    sync_folder(path.parent)


def _folder_aside(path):
    """A new folder for what shall be at `path`, and its descriptor, which holds a lock while the process is at work."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        with contextlib.suppress(FileNotFoundError):
            held = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # some file systems know no locks
                fcntl.flock(held, fcntl.LOCK_EX)
            if folder.exists():  # else another process took it for abandoned before it was locked
                return folder, held
            os.close(held)


def _remove_abandoned(path):
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):  # in use, gone, or without locks
            held = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(held)


@contextlib.contextmanager
def naming(path):
    """An OSError that says no file, as a full disk's does, says `path`."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


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
        try:
            json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
        except ValueError:
            raise InputError(f"{path}: a figure of it is NaN or infinite, so it is not written") from None
        file.write("\n")


def write_csv(path, rows):
    """Write dictionaries with the same keys as CSV with a header, whole or not at all; no text of them is a formula."""
    with whole(path, "w") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows({key: _no_formula(value) for key, value in row.items()} for row in rows)


def _no_formula(value):
    """Text that a spreadsheet would compute gets an apostrophe before it, as OWASP advises (CSV injection)."""
    if not isinstance(value, str) or value[:1] not in ("=", "+", "-", "@", "\t", "\r"):
        return value
    try:
        float(value)
        return value
    except ValueError:
        return f"'{value}"


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
