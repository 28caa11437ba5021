"""effnet/loose/pictures.py: every layout that pictures come in, each picture with its class, none lost."""

import hashlib

import pytest

from effnet.errors import InputError
from effnet.loose.pictures import Pictures, find
from effnet.sources import imagenet
from effnet.weights.pretrained import imagenet_classes
from tests.pictures import jpeg
from tests.sources import test_imagenet as made

WNIDS, NAMES = imagenet_classes()
META = {"classes": NAMES, "class_ids": WNIDS}
TENCH, CAT, BAG = 0, 282, 999
THREE = (TENCH, CAT, BAG)


def files(root, names):
    """Pictures under `root`, each other bytes; `{name: bytes}`."""
    found = {name: jpeg(i) for i, name in enumerate(names)}
    for name, data in found.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return found


def read(root, meta=META):
    return Pictures(root, find(root), meta)


def by_bytes(dataset):
    return {dataset.read(i): int(label) for i, label in enumerate(dataset.labels)}


@pytest.mark.parametrize(
    "folders, words",
    [
        ([WNIDS[i] for i in THREE], "3 classes read as wnids of ImageNet"),
        (["tench", "Tiger_Cat", NAMES[BAG]], "3 classes read as names of classes"),
        (["0", "282", "999"], "3 classes read as numbers of the model's outputs, 0 to 999"),
    ],
)
@pytest.mark.parametrize("split", ["", "val/"])
def test_class_folders_of_any_depth(tmp_path, folders, words, split):
    files(tmp_path, ["train/dog/1.JPEG"] if split else [])
    pictures = files(tmp_path, [f"{split}{name}/{file}" for name in folders for file in ("a.JPEG", "images/b.jpg")])
    dataset = read(tmp_path)
    expected = {data: output for output, folder in zip(THREE, folders, strict=True)
                for name, data in pictures.items() if f"/{folder}/" in f"/{name}"}  # fmt: skip
    assert by_bytes(dataset) == expected and dataset.present == list(THREE)
    assert dataset.said[0] == f"6 pictures, {words}" and len(dataset) == 6


def test_flat_files_named_by_wnid(tmp_path):
    pictures = files(tmp_path, [f"{WNIDS[i]}{rest}" for i in THREE for rest in ("_10026.JPEG", "_a name.JPEG")])
    assert by_bytes(read(tmp_path)) == {data: WNIDS.index(name[:9]) for name, data in pictures.items()}


def test_tiny_imagenets_annotations(tmp_path):
    pictures = files(tmp_path / "val", [f"images/val_{i}.JPEG" for i in range(3)])
    lines = [f"val_{i}.JPEG\t{WNIDS[output]}\t0\t0\t9\t9\n" for i, output in enumerate(THREE)]
    (tmp_path / "val/val_annotations.txt").write_text("".join(lines))
    dataset = read(tmp_path)
    assert by_bytes(dataset) == dict(zip(pictures.values(), THREE, strict=True))
    assert dataset.said[1:] == [
        f"of {tmp_path}, the folder val/",
        "1 files left out that are no pictures: val_annotations.txt",
    ]


@pytest.mark.parametrize("as_archive", [True, False])
def test_the_validation_archive_and_what_it_unpacks_to(tmp_path, as_archive):
    """By the devkit's truth, which counts classes its own way; and a part of the archive."""
    root = made.official(tmp_path / "raw", val=dict(list(made.VAL.items())[1:]))
    if not as_archive:
        (root / imagenet.VAL_TAR).unlink()
        (root / "val").mkdir()
        for name, data in list(made.VAL.items())[1:]:
            (root / "val" / name).write_bytes(data)
    meta = {"classes": ["tench", "fox", "saw"], "class_ids": made.WNIDS}
    dataset = read(root / imagenet.VAL_TAR if as_archive else root, meta)
    wnid_of = {number: wnid for wnid, (number, _) in made.CLASSES.items()}
    assert [dataset.class_ids[label] for label in dataset.labels] == [wnid_of[number] for number in made.TRUTH[1:]]
    assert [dataset.read(i) for i in range(len(dataset))] == list(made.VAL.values())[1:]


def test_an_archive_without_its_devkit_says_what_to_put_where(tmp_path):
    root = made.official(tmp_path / "raw")
    (root / imagenet.DEVKIT_TAR).unlink()
    with pytest.raises(InputError, match="devkit_t12.tar.gz: no such file; put ImageNet's devkit there"):
        find(root)


@pytest.mark.parametrize(
    "names, message",
    [
        ([], "no pictures in it"),
        (["readme.txt"], "no pictures in it"),
        (["cat.JPEG", "n01440764_1.JPEG"], "1 pictures without a class, .* begin with no wnid: cat.JPEG"),
        (["tench/1.JPEG", "2.JPEG"], "1 pictures without a class, they lie beside the class folders: 2.JPEG"),
    ],
)
def test_pictures_without_a_class_are_refused_by_name(tmp_path, names, message):
    files(tmp_path, names)
    with pytest.raises(InputError, match=message):
        find(tmp_path)


def test_what_is_not_there_or_no_archive_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        find(tmp_path / "x")
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="x.zip: neither a folder nor a .tar; unpack it"):
        find(tmp_path / "x.zip")
    (tmp_path / "x.tar").write_bytes(b"PK" * 999)
    with pytest.raises(InputError, match="x.tar: truncated or not a tar .* 1,998 bytes; get it again"):
        find(tmp_path / "x.tar")


def test_what_is_left_out_is_said(tmp_path):
    files(tmp_path, ["tench/1.JPEG", "tench/notes.txt", "tench/.hidden.JPEG", ".git/x.JPEG"])
    (tmp_path / "goldfish").mkdir()
    dataset = read(tmp_path)
    assert dataset.names == ["tench/1.JPEG"]
    assert dataset.said[1:] == [
        "1 files left out that are no pictures: tench/notes.txt",
        "1 folders without pictures: goldfish",
    ]


def test_the_digest_is_of_names_classes_and_bytes(tmp_path):
    files(tmp_path / "a", ["tench/1.JPEG", "tench/2.JPEG"])
    files(tmp_path / "b", ["0/1.JPEG", "0/2.JPEG"])
    (tmp_path / "c/tench").mkdir(parents=True)
    for i in (2, 1):
        (tmp_path / f"c/tench/{i}.JPEG").write_bytes((tmp_path / f"a/tench/{i}.JPEG").read_bytes())
    a, b, c = (read(tmp_path / name) for name in "abc")
    assert a.digest == c.digest and len(a.digest) == hashlib.sha256().digest_size * 2
    assert a.digest != b.digest  # other names
    (tmp_path / "c/tench/1.JPEG").write_bytes(b"x")
    assert read(tmp_path / "c").digest != a.digest
