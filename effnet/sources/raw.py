"""What the raw data are: how many files, how many bytes, and a digest of it all, without reading again what was read.

A digest counts the files' names and bytes alone, so that two machines with the same data agree wherever it lies. What
each file held when it was last read is kept in the user's cache with its size and time of change, for all checkouts.
"""

import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from effnet.errors import InputError
from effnet.files import CACHE, sha256, whole
from effnet.progress import bar
from effnet.sources import digits, fashion, imagenet, published

NOTES = CACHE / "raw"
EXPERIMENTS = "/.dvc/tmp/exps/"  # where DVC runs temporary and queued experiments
# Each file: size, time of change, name. Hidden ones are no pictures, and no name begins with a slash.
LOOK = ["(", "-name", ".*", "-prune", ")", "-o", "-type", "f", "-printf", r"%s %T@ %p\0"]
TOGETHER = 100  # folders that one `find` looks through


def located(root):
    """Where the folder `root` of a recipe is: a temporary experiment runs in a checkout of its own, and finds data
    that git does not carry in the main one.
    """
    main, inside, _ = f"{Path.cwd()}/".partition(EXPERIMENTS)
    return Path(main, root) if inside and root and not Path(root).exists() else Path(root)


def describe(data):
    """`{"source", "root", "files", "bytes", "content"}` of the raw data that `data` (a recipe's section) names, or None
    where they are not on this machine.

    root     empty where the recipe's says nothing about the data
    content  hex digest of all names and bytes; of what is downloaded the checksum that the download must have
    Raises InputError for files that cannot be read.
    """
    root, download = "", {"flowers": published.FLOWERS, "imagenette": published.IMAGENETTE}.get(data.source)
    if data.source == "digits":
        found = digits.COUNT, 0, ""  # scikit-learn's own, the same in each version
    elif download:
        found = download.images, download.size, download.sha256
    else:
        root = located(data.root)
        files = {"imagenet": imagenet.parts, "fashion": fashion.parts}.get(data.source)
        wanted = files(root) if files else ["train", "val"]
        parts = [part for part in wanted if data.root and (root / part).exists()]
        if not parts:
            return None
        whole_set = len(parts) == len(wanted)  # `prepare` says what is missing; no need to read 150 GB for that
        found, root = _digest(root, parts) if whole_set else (0, 0, "incomplete"), data.root
    return {"source": data.source, "root": root} | dict(zip(("files", "bytes", "content"), found, strict=True))


def _digest(root, parts):
    """(files, bytes, digest) of the files and folders `parts` in `root`."""
    listing = _look(root, parts)
    seen = hashlib.sha256(listing).hexdigest()
    notes = NOTES / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    table = b""
    if notes.exists():
        with open(notes, "rb") as file:
            then, files, size, content = file.readline().decode().split()
            if then == seen:  # a million of notes need not be read for that
                return int(files), int(size), content
            table = file.read()

    entries = sorted((entry.split(b" ", 2) for entry in listing.split(b"\0")[:-1]), key=lambda entry: entry[2])
    known = dict(row.rsplit(b" ", 1) for row in table.split(b"\0")[:-1])
    fresh = [entry for entry in entries if b" ".join(entry) not in known]
    size = sum(int(entry[0]) for entry in fresh)
    with ThreadPoolExecutor() as pool, bar(total=size, unit="B", what=f"read {root}") as progress:
        paths = [root / os.fsdecode(name) for _, _, name in fresh]
        for entry, digest in zip(fresh, pool.map(sha256, paths), strict=True):
            known[b" ".join(entry)] = digest.encode()
            progress.update(int(entry[0]))
    rows = [(b" ".join(entry), entry[2], known[b" ".join(entry)]) for entry in entries]
    content = hashlib.sha256(b"".join(b"%s\0%s\n" % (name, digest) for _, name, digest in rows)).hexdigest()
    found = len(entries), sum(int(entry[0]) for entry in entries), content
    with whole(notes) as file:
        file.write(" ".join(map(str, (seen, *found))).encode() + b"\n")
        file.writelines(b"%s %s\0" % (row, digest) for row, _, digest in rows)
    return found


def _look(root, parts):
    """Size, time of change and name of each file; `find` asks for a million of them in half the time Python takes, and
    several at a time wait for the disk together.
    """
    folders = [path for part in parts if (root / part).is_dir() for path in _inside(root, part)]
    groups = [folders[i : i + TOGETHER] for i in range(0, len(folders), TOGETHER)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        shallow = pool.submit(_find, root, [*parts, "-maxdepth", "1"])
        deep = list(pool.map(lambda group: _find(root, group), groups))
    return b"".join([shallow.result(), *deep])


def _inside(root, part):
    return [f"{part}/{entry.name}" for entry in os.scandir(root / part) if entry.is_dir() and entry.name[0] != "."]


def _find(root, where):
    done = subprocess.run(["find", "-L", *where, *LOOK], cwd=root, capture_output=True)
    if done.returncode:
        raise InputError(f"{root}: {done.stderr.decode(errors='replace').splitlines()[0]}")
    return done.stdout
