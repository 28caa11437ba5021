"""ImageNet (ILSVRC2012) from the official files, as they come or extracted; archives are read in place, nothing is
unpacked.

    ILSVRC2012_img_train.tar         a tar of 1000 tars, one per class        or  train/WNID/*.JPEG
    ILSVRC2012_img_val.tar           50,000 pictures, flat                    or  val/WNID/*.JPEG or val/*.JPEG
    ILSVRC2012_devkit_t12.tar.gz     meta.mat and the validation labels       or  ILSVRC2012_devkit_t12/

The class index is the place of a class's wnid among the sorted wnids - everybody's order since Caffe -, not the
devkit's own ILSVRC2012_ID. How many pictures there must be, in all and of each class, the devkit knows.
"""

import hashlib
import io
import re
import sys
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from effnet.errors import InputError
from effnet.progress import bar
from effnet.sources.folder import Source, Split, list_files, list_split, subfolders, take

DEVKIT = "ILSVRC2012_devkit_t12"
TRAIN_TAR, VAL_TAR, DEVKIT_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", f"{DEVKIT}.tar.gz"
SIZES = {TRAIN_TAR: 147_897_477_120, VAL_TAR: 6_744_924_160}  # bytes
DEVKIT_MD5 = "fa75699e90414af021442c21a62c3abf"
PART = "; data.subset: true takes what is there"
VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


class Devkit(NamedTuple):
    """Classes in class index order: `wnids` (sorted), `names` for people, `train_images` of each.

    `val_labels[k]` is of picture k + 1.
    """

    wnids: list
    names: list
    train_images: list
    val_labels: np.ndarray


def read(root, subset=False):
    """The Source in `root`. With `subset`, the classes that train has, of which pictures may be missing; validation's
    of other classes are left out.

    Raises InputError for what is missing, truncated, or not as the devkit says, with expected and found.
    """
    root = Path(root)
    devkit = read_devkit(root)
    if (root / TRAIN_TAR).is_file():
        train = _train_tar(root / TRAIN_TAR, devkit, subset)
    elif (root / "train").is_dir():
        _same_classes(root / "train", subfolders(root / "train"), devkit, subset)
        train = list_split(root / "train", devkit.wnids)
    else:
        raise InputError(
            f"{root}: neither {TRAIN_TAR} nor train/WNID/*.JPEG; data.root must hold ImageNet's training pictures"
        )
    if (root / VAL_TAR).is_file():
        val = _val_tar(root / VAL_TAR, devkit, subset)
    elif (root / "val").is_dir():
        val = _val_folder(root / "val", devkit, subset)
    else:
        raise InputError(f"{root}: neither {VAL_TAR} nor val/; data.root must hold ImageNet's validation pictures")
    found = np.bincount(train.labels, minlength=len(devkit.wnids))
    wrong = [
        f"{devkit.wnids[i]}: {found[i]} of {n}"
        for i, n in enumerate(devkit.train_images)
        if found[i] > n or (found[i] < n and not subset)
    ]
    if wrong:
        total = sum(devkit.train_images)
        raise InputError(
            f"{train.place}: found {len(train.names):,} pictures, expected {total:,}; "
            f"in {len(wrong)} classes: {', '.join(wrong[:5])}" + (PART if not subset else "")
        )
    return _of_present(train, val, devkit) if subset else Source(train, val, devkit.wnids, devkit.names)


def _of_present(train, val, devkit):
    """The Source of the classes that train has, numbered anew."""
    present = np.unique(train.labels)
    kept = np.flatnonzero(np.isin(val.labels, present))
    others = f", {len(val.names) - len(kept):,} of other classes left out" if len(kept) < len(val.names) else ""
    print(
        f"data.subset: {len(present)} of {len(devkit.wnids)} classes, {len(train.names):,} training and {len(kept):,} "
        f"validation pictures{others}",
        file=sys.stderr,
    )
    if not len(kept):
        raise InputError(f"{val.place}: no validation picture of the classes that train has")
    train, val = (
        split._replace(labels=np.searchsorted(present, split.labels).astype(np.int32))
        for split in (train, take(val, kept))
    )
    return Source(train, val, [devkit.wnids[i] for i in present], [devkit.names[i] for i in present])


def parts(root):
    """Names of what `read` looks at in `root`, some of which may not be there."""
    archives = ((TRAIN_TAR, "train"), (VAL_TAR, "val"), (DEVKIT_TAR, DEVKIT))
    return [archive if (root / archive).is_file() else folder for archive, folder in archives]


def read_devkit(root):
    """The Devkit in `root`, from its archive or its extracted folder."""
    from scipy.io import loadmat  # half a second to import, and stage `source`, which always runs, needs only names

    archive, folder = Path(root) / DEVKIT_TAR, Path(root) / DEVKIT
    files = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
    if archive.is_file():
        try:
            with tarfile.open(archive, "r:gz") as tar:
                meta, truth = (tar.extractfile(f"{DEVKIT}/data/{name}").read() for name in files)
        except (tarfile.TarError, EOFError, OSError, KeyError, AttributeError, zlib.error) as error:
            found = hashlib.md5(archive.read_bytes()).hexdigest()
            raise InputError(
                f"{archive}: damaged ({error}): its MD5 is {found}, the official file's {DEVKIT_MD5}; get it again"
            ) from None
    elif folder.is_dir():
        meta, truth = ((folder / "data" / name).read_bytes() for name in files)
    else:
        raise InputError(
            f"{archive}: no such file; put ImageNet's devkit there (2.5 MB, https://image-net.org/download-images)"
        )
    try:
        synsets = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        classes = sorted(
            (str(s["WNID"]), str(s["words"]), int(s["num_train_images"]), int(s["ILSVRC2012_ID"]))
            for s in synsets
            if s["num_children"] == 0
        )
        ids = np.array(truth.split(), np.int64)
    except Exception as error:  # scipy raises whatever it meets in a damaged file
        raise InputError(
            f"{root}: the devkit's meta.mat or ground truth cannot be read: {error}; get it again"
        ) from None
    wnids, names, train_images, devkit_ids = (list(column) for column in zip(*classes, strict=True))
    label_of = {devkit_id: label for label, devkit_id in enumerate(devkit_ids)}
    strange = [f"line {i + 1}: {devkit_id}" for i, devkit_id in enumerate(ids.tolist()) if devkit_id not in label_of]
    if strange:
        raise InputError(
            f"{root}: the devkit's ground truth names classes that its meta.mat has not: {', '.join(strange[:5])}; "
            "get it again"
        )
    return Devkit(wnids, names, train_images, np.array([label_of[i] for i in ids.tolist()], np.int32))


def _train_tar(path, devkit, subset):
    names, labels, spans = [], [], []
    with open(path, "rb") as file:
        classes = {name.removesuffix(".tar"): span for name, *span in members(file)}
        _same_classes(path, classes, devkit, subset)
        here = [(label, wnid) for label, wnid in enumerate(devkit.wnids) if wnid in classes]
        for label, wnid in bar(here, unit="class", what=f"read {TRAIN_TAR}"):
            start, size = classes[wnid]
            pictures = sorted(members(file, start, start + size))
            names += [f"{wnid}/{name}" for name, _, _ in pictures]
            labels.append(np.full(len(pictures), label, np.int32))
            spans.append(np.array([span for _, *span in pictures], np.int64).reshape(-1, 2))
    return Split(names, np.concatenate(labels), str(path), None, np.concatenate(spans))


def _val_tar(path, devkit, subset):
    with open(path, "rb") as file:
        pictures = sorted(members(file))
    labels = _val_labels(path, [name for name, _, _ in pictures], devkit, subset)
    names = [f"{devkit.wnids[label]}/{name}" for label, (name, _, _) in zip(labels, pictures, strict=True)]
    return Split(names, labels, str(path), None, np.array([span for _, *span in pictures], np.int64))


def _val_folder(path, devkit, subset):
    if not any((path / wnid).is_dir() for wnid in devkit.wnids):
        files = list_files(path)
        labels = _val_labels(path, files, devkit, subset)
        return Split(
            [f"{devkit.wnids[label]}/{file}" for label, file in zip(labels, files, strict=True)],
            labels,
            str(path),
            files,
        )
    split = list_split(path, devkit.wnids)
    order = np.argsort([name.split("/")[1] for name in split.names])
    labels = _val_labels(path, [split.names[i].split("/")[1] for i in order], devkit, subset)
    wrong = [
        f"{split.names[i]} belongs into {devkit.wnids[label]}"
        for i, label in zip(order, labels, strict=True)
        if split.labels[i] != label
    ]
    if wrong:
        raise InputError(
            f"{path}: {len(wrong)} pictures lie in another class than the devkit says: {', '.join(wrong[:3])}"
        )
    return take(split, order)  # in the flat archive's order: the same shards from either


def _val_labels(path, names, devkit, subset):
    """(n,) int32 labels of the validation files `names`, sorted, which must be exactly those that the ground truth
    is for, or with `subset` some of them.
    """
    numbers = [int(match[1]) if (match := VAL_NAME.fullmatch(name)) else 0 for name in names]
    expected = range(1, len(devkit.val_labels) + 1)
    if (sorted(set(numbers) & set(expected)) if subset else list(expected)) != numbers:
        missing = [f"ILSVRC2012_val_{k:08d}.JPEG" for k in sorted(set(expected) - set(numbers))[:3]]
        strange = [name for name, number in zip(names, numbers, strict=True) if number not in expected][:3]
        raise InputError(
            f"{path}: found {len(names):,} pictures, the ground truth is for {len(expected):,}"
            + (f"; missing: {', '.join(missing)}" if missing else "")
            + (f"; unknown: {', '.join(strange)}" if strange else "")
            + (PART if missing and not subset else "")
        )
    return devkit.val_labels[np.array(numbers, np.int64) - 1]


def _same_classes(path, found, devkit, subset):
    missing, strange = sorted(set(devkit.wnids) - set(found)), sorted(set(found) - set(devkit.wnids))
    if strange or (missing and not subset) or not found:
        raise InputError(
            f"{path}: found {len(found)} classes, expected {len(devkit.wnids)}"
            + (f"; missing: {', '.join(missing[:5])}" if missing else "")
            + (f"; unknown: {', '.join(strange[:5])}" if strange else "")
            + (f"; {_official(path)}" if missing and path.is_file() else "")
            + (PART if missing and not subset else "")
        )


def members(file, start=0, end=None):
    """(name, offset, size) of each member of the tar in bytes [start, end) of `file`; end None: to the file's end.

    Raises InputError for a truncated archive, and for a link, a device, a folder, or a name that is more than a file's.
    """
    path, end = Path(file.name), end or file.seek(0, io.SEEK_END)
    file.seek(start)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                refuse(path, member)
                if "/" in member.name:
                    raise InputError(f"{path}: member '{member.name}' is in a folder; not ImageNet's official archive")
                if member.offset_data + member.size > end:
                    raise InputError(f"{path}: truncated inside '{member.name}'; {_official(path)}; get it again")
                yield member.name, member.offset_data, member.size
                tar.members.clear()  # a million headers are not for keeping
    except tarfile.TarError as error:
        raise InputError(
            f"{path}: truncated or not a tar at byte {start:,} ({error}); {_official(path)}; get it again"
        ) from None


def refuse(archive, member):
    """Raise InputError if `member` is not a plain file with a name inside the archive's own folder."""
    if not member.isreg() or member.issparse():
        kind = (
            "a link"
            if member.issym() or member.islnk()
            else "a folder"
            if member.isdir()
            else "a device or another special file"
        )
        raise InputError(f"{archive}: member '{member.name}' is {kind}; only plain files are taken")
    if member.name.startswith("/") or ".." in member.name.split("/") or not member.name.isprintable():
        raise InputError(f"{archive}: member {member.name!r} has a name that leads out of the folder; not taken")


def _official(path):
    official = f", the official file {SIZES[path.name]:,}" if path.name in SIZES else ""
    return f"it has {path.stat().st_size:,} bytes{official}"
