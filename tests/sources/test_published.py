"""effnet/sources/published.py: data sets come in by URL, are checked and unpacked, and nothing leads out of them."""

import io
import tarfile

import numpy as np
import pytest

from effnet.errors import InputError
from effnet.shards.dataset import Dataset
from effnet.sources import published
from effnet.sources.build import build_shards
from tests.pictures import jpeg, settings
from tests.test_download import CONTENT, archive, server


def tgz(members, top="data"):
    """A .tgz of (name, bytes, header changes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data, header in members:
            member = tarfile.TarInfo(f"{top}/{name}" if top else name)
            member.size = len(data)
            for key, value in header.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def test_flowers_come_in_by_url_and_a_fifth_of_each_class_validates(tmp_path, monkeypatch):
    names = ("daisy", "roses", "tulips")
    files = {f"{name}/{i}.jpg": jpeg((label, i)) for label, name in enumerate(names) for i in range(10)}
    content = tgz([("LICENSE.txt", b"CC-BY", {})] + [(name, data, {}) for name, data in files.items()])
    with server(content, breaks=[len(content) // 2]) as (url, _):
        monkeypatch.setattr(published, "FLOWERS", archive(url, content, images=30))
        build_shards(settings(tmp_path / "raw", source="flowers"), tmp_path / "out", 3)
    train, val = Dataset(tmp_path / "out", "train"), Dataset(tmp_path / "out", "val")
    assert np.bincount(train.labels).tolist() == [8, 8, 8] and np.bincount(val.labels).tolist() == [2, 2, 2]
    assert {name: dataset.read(i) for dataset in (train, val) for i, name in enumerate(dataset.names)} == files
    assert train.class_ids == list(names)


def test_imagenette_has_names_for_people(tmp_path, monkeypatch):
    files = [
        (f"{split}/{wnid}/{wnid}_{i}.JPEG", jpeg(i), {})
        for split in ("train", "val")
        for wnid in published.IMAGENETTE_NAMES
        for i in range(2)
    ]
    content = tgz(files)
    (tmp_path / "data.tgz").write_bytes(content)  # put there by hand: no network needed
    monkeypatch.setattr(published, "IMAGENETTE", archive("http://127.0.0.1:9/data.tgz", content, images=40))
    source = published.imagenette(tmp_path)
    assert source.class_ids[0] == "n01440764" and source.classes[0] == "tench" and len(source.classes) == 10
    (tmp_path / "data/val/n01440764/n01440764_0.JPEG").unlink()
    with pytest.raises(InputError, match="data: found 39 pictures, expected 40"):
        published.imagenette(tmp_path)


@pytest.mark.parametrize(
    ("name", "header", "message"),
    [
        ("data/../../evil", {}, "has a name that leads out"),
        ("/evil", {}, "has a name that leads out"),
        ("other/evil", {}, "is not under data/"),
        ("data/link", {"type": tarfile.SYMTYPE, "linkname": "/"}, "is a link"),
        ("data/device", {"type": tarfile.BLKTYPE}, "is a device"),
    ],
)
def test_members_that_lead_elsewhere_are_refused(tmp_path, name, header, message):
    (tmp_path / "data.tgz").write_bytes(tgz([("data/good.jpg", b"x", {}), (name, b"", header)], top=""))
    with pytest.raises(InputError, match=f"'{name}' {message}"):
        published.unpack(tmp_path / "data.tgz", tmp_path / "data")
    assert not (tmp_path / "data").exists() and not (tmp_path.parent / "evil").exists()


def test_a_torn_archive_is_named(tmp_path):
    (tmp_path / "data.tgz").write_bytes(tgz([("a.jpg", CONTENT[:50_000], {})])[:20_000])
    with pytest.raises(InputError, match="data.tgz: truncated or not an archive"):
        published.unpack(tmp_path / "data.tgz", tmp_path / "data")
    assert not (tmp_path / "data").exists()
