"""Where a metrics file comes from: which code, recipe, data, versions and device, and how long it took."""

import importlib.metadata
import platform
import subprocess
from datetime import datetime, timezone

from effnet.devices import machine
from effnet.files import sha256, write_json

# what the pipeline itself writes: it differs from the last commit while a run is under way, and decides nothing
OUTPUTS = ("dvc.lock", "metrics")
PACKAGES = ("mindspore", "numpy", "pillow", "onnx", "onnxruntime", "dvc")


def write(path, meta, dataset, seconds, images, where, model=None, **more):
    """Write the provenance of a metrics file to `path` as JSON.

    meta: what the model says of itself; dataset: effnet.shards.dataset.Dataset used; seconds: of the work proper,
    without start-up; images: pictures seen in those seconds; where: {"target", "number"} of devices; model: path of the
    evaluated file; more: further entries.
    """
    write_json(path, {
        **git_state(),
        "recipe": meta.get("recipe_digest"),
        "data": dataset.digest,
        "model": sha256(model) if model else None,
        "seed": meta.get("seed"),
        "device": where | machine.describe(),
        "versions": versions(),
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
    changed = (
        git("status", "--porcelain", "--no-renames", "--", ".", *(f":(exclude){path}" for path in OUTPUTS))
        if revision
        else None
    )
    return {"revision": revision, "edited": sorted(line[3:] for line in (changed or "").splitlines())}


def versions():
    """`{name: version}` of Python and of the installed packages that can change a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass  # a machine that only evaluates the ONNX file needs no MindSpore
    return found


def git(*command):
    """Standard output of a git command, stripped at its end; None if it failed or there is no git."""
    try:
        done = subprocess.run(["git", "--no-optional-locks", *command], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip()
