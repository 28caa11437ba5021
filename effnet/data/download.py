"""Data sets that can be had by one public URL: fetched (resuming what broke off), checked against a checksum, unpacked."""

import http.client
import shutil
import ssl
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from effnet.data import folder
from effnet.data.imagenet import refuse
from effnet.errors import InputError
from effnet.files import sha256
from effnet.progress import bar

TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 4  # in a row that bring nothing


class Archive(NamedTuple):
    """url; size in bytes; SHA-256 or its first digits (both as TensorFlow Datasets' checksums.tsv has them); pictures inside."""

    url: str
    size: int
    sha256: str
    images: int


FLOWERS = Archive(
    "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
    228_813_984,
    "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    3_670,
)
IMAGENETTE = Archive(
    "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
    341_663_724,
    "569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c",
    13_394,
)
IMAGENETTE_NAMES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def flowers(root):
    """The Source of TensorFlow's 3,670 flower photographs, 5 classes. They come without a split: a fixed fifth of each class validates."""
    return folder.divide(unpacked(FLOWERS, root))


def imagenette(root):
    """The Source of fast.ai's Imagenette (second version, shorter side 320 pixels): 10 easy classes of ImageNet."""
    source = folder.read(unpacked(IMAGENETTE, root))
    return source._replace(classes=[IMAGENETTE_NAMES[wnid] for wnid in source.class_ids])


def unpacked(archive, root):
    """The archive's folder under `root`: as it lies there, or unpacked from the file there, or from the net."""
    path = Path(root) / archive.url.rsplit("/", 1)[1]
    target = path.with_suffix("")
    if not target.is_dir():
        fetch(archive, path)
        unpack(path, target)
    found = sum(1 for file in target.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
    if found != archive.images:
        raise InputError(f"{target}: found {found:,} pictures, expected {archive.images:,}; remove the folder to have it unpacked again")
    return target


def fetch(archive, path):
    """Have archive.url at `path` with the right checksum.

    What a broken connection left in `path`.part is continued, now or at the next call. Raises InputError where the net or the server
    fails for good, or the checksum is wrong.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    if path.exists():
        return _check(archive, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    with bar(total=archive.size, unit="B", what=path.name) as progress:
        while (have := part.stat().st_size if part.exists() else 0) < archive.size:
            progress.update(have - progress.n)
            try:
                _continue(archive.url, part, have, progress)
                problem = f"ended after {part.stat().st_size:,} of {archive.size:,} bytes"
            except urllib.error.HTTPError as error:
                problem = f"HTTP {error.code} {error.reason}"
                if 400 <= error.code < 500:
                    failures = ATTEMPTS  # asking again will not help
                if error.code == 416:
                    part.unlink()  # the server's file ends before ours
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
                problem = str(getattr(error, "reason", error)) or type(error).__name__
            failures = 0 if part.exists() and part.stat().st_size > have else failures + 1
            if failures >= ATTEMPTS:
                raise InputError(f"{archive.url}: {problem}; run again to continue, or put the file at {path} yourself")
        progress.update(archive.size - progress.n)
    _check(archive, part)
    part.rename(path)


def _continue(url, part, have, progress):
    """Append to `part` what the server sends from byte `have` on; start over where the server cannot do that."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        resumed = response.status == 206 and response.headers["Content-Range"].startswith(f"bytes {have}-")
        with open(part, "ab" if resumed else "wb") as file:
            progress.update(0 if resumed else -have)
            while data := response.read(1 << 18):
                file.write(data)
                progress.update(len(data))


def _check(archive, path):
    size, found = path.stat().st_size, sha256(path)
    if not found.startswith(archive.sha256):
        if path.suffix == ".part":
            path.unlink()  # nothing in it can be trusted
        raise InputError(
            f"{path}: {size:,} bytes with SHA-256 {found}, expected {archive.size:,} bytes with {archive.sha256}; get it again"
        )


def unpack(path, target):
    """Unpack the tar `path`, whose members lie under `target`'s name, as the folder `target`, whole or not at all.

    Only folders and plain files are taken; anything else, and a name that leads out of `target`, is refused by name.
    """
    aside = target.with_name(target.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with tarfile.open(path) as tar:
            for member in bar(tar, unit="file", what=f"unpack {path.name}"):
                if member.isdir():
                    continue
                refuse(path, member)
                top, _, name = member.name.removeprefix("./").partition("/")
                if top != target.name or not name:
                    raise InputError(f"{path}: member '{member.name}' is not under {target.name}/; not taken")
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                with open(aside / name, "wb") as file:
                    shutil.copyfileobj(tar.extractfile(member), file)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{path}: truncated or not an archive: {error}") from None
    aside.rename(target)
