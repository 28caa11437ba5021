"""When, where and how fast a result was made: true of one run on one machine, so in a file that git does not track."""

import platform
import subprocess
from datetime import datetime, timezone

from effnet.devices import machine
from effnet.files import write_json

# what the pipeline itself writes: it differs from the last commit while a run is under way, and decides nothing
OUTPUTS = ("dvc.lock", "data/source.json", "metrics")


def write(path, seconds, images, **more):
    """Note the run that just ended. seconds: of the work proper, without start-up; images: pictures seen in those."""
    write_json(path, {
        **git_state(),
        **machine.describe(),
        "python": platform.python_version(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": float(f"{seconds:.4g}"),
        "images_per_second": round(images / seconds, 1),
        **more,
    })  # fmt: skip


def git_state():
    """`{"revision": hex or None, "edited": [paths]}`: the last commit, and the files besides our outputs that differ
    from it.
    """
    revision = git("rev-parse", "HEAD")
    others = [f":(exclude){path}" for path in OUTPUTS]
    changed = git("status", "--porcelain", "--no-renames", "--", ".", *others) if revision else None
    return {"revision": revision, "edited": sorted(line[3:] for line in (changed or "").splitlines())}


def git(*command):
    """Standard output of a git command, stripped at its end; None if it failed or there is no git."""
    try:
        done = subprocess.run(["git", "--no-optional-locks", *command], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip()
