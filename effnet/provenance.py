"""Where a metrics file comes from: which code, recipe, data, versions and device, and how long it took."""

import importlib.metadata
import platform
import subprocess
from datetime import datetime, timezone

from effnet import device, recipe
from effnet.files import sha256, write_json

# what the pipeline itself writes: it differs from the last commit while a run is under way, and decides nothing
OUTPUTS = ("dvc.lock", "metrics")
PACKAGES = ("mindspore", "numpy", "pillow", "onnx", "onnxruntime", "dvc")


def write(path, params, dataset, seconds, images, model=None, provider=None):
    """Write the provenance of a metrics file to `path` as JSON.

    params: recipe.Recipe in force; dataset: data.shards.Dataset used; seconds: of the work proper, without start-up;
    images: pictures seen in those seconds; model: path of the evaluated file; provider: ONNX Runtime's, where that did the work.
    """
    write_json(path, {
        **git_state(),
        "recipe": recipe.digest(params),
        "data": dataset.digest,
        "model": sha256(model) if model else None,
        "seed": params.train.seed,
        "device": {"target": provider or params.train.device_target, "number": 1 if provider else params.train.device_num, **device.describe()},
        "versions": versions(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": float(f"{seconds:.4g}"),
        "images_per_second": round(images / seconds, 1),
    })  # fmt: skip


def git_state():
    """`{"revision": hex or None, "edited": [paths]}`: the last commit, and the files besides our outputs that differ from it."""
    revision = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--no-renames", "--", ".", *(f":(exclude){path}" for path in OUTPUTS)) if revision else None
    return {"revision": revision.strip() if revision else None, "edited": sorted(line[3:] for line in (changed or "").splitlines())}


def versions():
    """`{name: version}` of Python and of the installed packages that can change a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass  # a machine that only evaluates the ONNX file needs no MindSpore
    return found


def _git(*command):
    try:
        return subprocess.run(["git", "--no-optional-locks", *command], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or not a repository: the run is none the worse for it
