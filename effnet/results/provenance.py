"""Where a metrics file comes from: digests of recipe, data and model, versions, the kind of device.

Only what the recipe and the locked versions decide: it is in git, and a rerun must not change it. What a clock, a host
or a path decides is in clock.py.
"""

import importlib.metadata
import sys

from effnet.files import sha256, write_json

PACKAGES = ("mindspore", "numpy", "pillow", "scipy", "onnx", "onnxruntime")


def write(path, meta, dataset, where, model=None, used=()):
    """Write the provenance of a metrics file to `path` as JSON.

    meta: what the model says of itself; dataset: effnet.shards.dataset.Dataset used; where: {"target", "number",
    "precision"} of devices; model: path of the evaluated file; used: packages besides those that are always there.
    """
    write_json(path, {
        "recipe": meta.get("recipe_digest"),
        "data": dataset.digest,
        "model": sha256(model) if model else None,
        "seed": meta.get("seed"),
        "device": where,
        "versions": versions(used),
    })  # fmt: skip


def precision(target, amp_level="O0", tf32=False):
    """What a device computes products in, in a word; a CPU knows no TF32."""
    if amp_level != "O0":
        return "float16"
    return "tf32" if tf32 and target != "CPU" else "float32"


def versions(used=()):
    """`{name: version}` of Python (without its patch) and of the installed packages that can change a result, those of
    `used` among them.
    """
    found = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
    for name in (*PACKAGES, *used):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass  # a machine that only evaluates the ONNX file needs no MindSpore
    return found
