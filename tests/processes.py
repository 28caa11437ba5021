"""Processes that a test started, as /proc shows them: which of a launcher's are there, and which outlive it."""

import contextlib
import time
from pathlib import Path


def in_folder(folder, words=""):
    """{process number: command line} of what runs in `folder` and has `words` in its command line."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if (process / "cwd").readlink() == Path(folder).resolve() and words in line and not zombie:
                found[int(process.name)] = line
    return found


def workers_in(folder, words="-m"):
    """Process numbers of the workers that msrun started in `folder`, in the order of their ranks."""
    found = {}
    for process in in_folder(folder, words):
        with contextlib.suppress(OSError):
            path = Path("/proc", str(process))
            variables = dict(
                entry.partition("=")[::2] for entry in (path / "environ").read_bytes().decode().split("\0") if entry
            )
            leads = int((path / "stat").read_text().rpartition(")")[2].split()[3]) == process
            if variables.get("MS_ROLE") == "MS_WORKER" and leads:  # what a worker starts itself leads no session
                found[int(variables["RANK_ID"])] = process
    return [found[rank] for rank in sorted(found)]


def wait(condition, seconds=120, what="it"):
    """Wait until `condition()` is true and return what it gave."""
    end = time.time() + seconds
    while not (found := condition()):
        assert time.time() < end, f"{what} did not come in {seconds} s"
        time.sleep(0.05)
    return found
