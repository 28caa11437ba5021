"""Data sets that can be had by one public URL: fetched, checked, unpacked."""

import shutil
import tarfile
from pathlib import Path

from effnet.download import Archive, fetch
from effnet.errors import InputError
from effnet.progress import bar
from effnet.sources import folder
from effnet.sources.imagenet import refuse

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
    """The Source of TensorFlow's 3,670 flower photographs, 5 classes.

    They come without a split: a fixed fifth of each class validates.
    """
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
        raise InputError(
            f"{target}: found {found:,} pictures, expected {archive.images:,}; "
            "remove the folder to have it unpacked again"
        )
    return target


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
