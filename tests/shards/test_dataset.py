"""effnet/shards: what was written comes back; damage is named."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from effnet.errors import InputError
from effnet.files import sha256
from effnet.shards.dataset import Dataset
from effnet.sources.writer import write_index, write_shard

CLASSES = ["ant", "bee"]


def made(folder, sizes=((700, 0, 512), (5, 90_000))):
    """A prepared folder of made-up bytes. Returns the pictures, [(name, bytes, label), ...], in order."""
    folder.mkdir()
    rng, pictures, records = np.random.default_rng(0), [], []
    for k, shard in enumerate(sizes):
        part = [(f"{CLASSES[i % 2]}/{k}-{i}.JPEG", rng.bytes(size), i % 2) for i, size in enumerate(shard)]
        record = write_shard(folder / f"train-{k:05d}.tar", part)
        records.append(record | {"file": f"train-{k:05d}.tar", "bad": []})
        pictures += part
    write_index(folder, {"shards": len(sizes)}, CLASSES, ["Ant", "Bee"], {"train": iter(records)})
    return pictures


def test_every_picture_comes_back(tmp_path):
    pictures = made(tmp_path / "p")
    dataset = Dataset(tmp_path / "p", "train")
    assert len(dataset) == len(pictures)
    assert [dataset.read(i) for i in range(len(dataset))] == [data for _, data, _ in pictures]
    assert dataset.names == [name for name, _, _ in pictures]
    assert dataset.labels.dtype == np.int32 and dataset.labels.tolist() == [label for _, _, label in pictures]
    assert dataset.class_ids == CLASSES and dataset.classes == ["Ant", "Bee"] and dataset.recipe == {"shards": 2}


def test_many_threads_read_the_same_bytes(tmp_path):
    pictures = made(tmp_path / "p", sizes=[[1000 + 7 * i for i in range(50)]] * 3)
    dataset = Dataset(tmp_path / "p", "train")
    order = np.random.default_rng(1).integers(0, len(pictures), 3000).tolist()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(dataset.read, order)) == [pictures[i][1] for i in order]


def test_the_digest_changes_with_any_picture(tmp_path):
    made(tmp_path / "a"), made(tmp_path / "b"), made(tmp_path / "c", sizes=((700, 0, 512), (5, 90_001)))
    a, b, c = (Dataset(tmp_path / name, "train").digest for name in "abc")
    assert a == b != c


def test_damage_is_named(tmp_path):
    with pytest.raises(InputError, match="index.json: no prepared pictures"):
        Dataset(tmp_path, "train")
    made(tmp_path / "p")
    shard = tmp_path / "p" / "train-00001.tar"
    dataset = Dataset(tmp_path / "p", "train")
    with open(shard, "r+b") as file:
        file.truncate(2000)
    with pytest.raises(InputError, match="train-00001.tar: ends inside picture 4"):
        dataset.read(4)
    with pytest.raises(InputError, match="train-00001.tar: 2,000 bytes, the index says"):
        Dataset(tmp_path / "p", "train")
    shard.unlink()
    with pytest.raises(InputError, match="train-00001.tar: 0 bytes, the index says"):
        Dataset(tmp_path / "p", "train")


def test_a_changed_byte_is_found_as_the_picture_is_read(tmp_path):
    made(tmp_path / "p")
    rows, shard = np.load(tmp_path / "p/train.npy"), tmp_path / "p/train-00001.tar"
    data = bytearray(shard.read_bytes())
    data[int(rows["offset"][4]) + 45_000] ^= 1
    shard.write_bytes(data)
    dataset = Dataset(tmp_path / "p", "train")  # its size is right
    dataset.read(3)
    with pytest.raises(InputError, match=r"train-00001.tar: picture 4 \(bee/1-1.JPEG\) is damaged; prepare"):
        dataset.read(4)


def rewritten(folder, change):
    """The index with one change, and train.npy's checksum true again."""
    path = folder / "index.json"
    index = json.loads(path.read_text())
    change(index)
    index["splits"]["train"]["sha256"]["train.npy"] = sha256(folder / "train.npy")
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 2}', '{"format": "x"}', "null", "\xff", '{"format": 2, "classes": 1}']
)
def test_what_is_no_index_is_refused(tmp_path, text):
    made(tmp_path / "p")
    (tmp_path / "p/index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="index.json: no index of prepared pictures"):
        Dataset(tmp_path / "p", "train")


@pytest.mark.parametrize(
    "column, value", [("label", 2), ("label", -1), ("shard", 2), ("shard", -1), ("offset", 10**12), ("size", -5)]
)
def test_a_row_that_leads_nowhere_is_refused(tmp_path, column, value):
    made(tmp_path / "p")
    rows = np.load(tmp_path / "p/train.npy")
    rows[column][2] = value
    np.save(tmp_path / "p/train.npy", rows)
    with pytest.raises(InputError, match="train.npy: damaged or missing: not the file that index.json names"):
        Dataset(tmp_path / "p", "train")
    rewritten(tmp_path / "p", lambda index: None)
    with pytest.raises(InputError, match="train.npy: not the table that index.json describes"):
        Dataset(tmp_path / "p", "train")


def test_an_index_that_names_files_elsewhere_or_another_format_is_refused(tmp_path):
    made(tmp_path / "p")
    rewritten(tmp_path / "p", lambda index: index["splits"]["train"]["shards"][0].update(file="../p/train-00000.tar"))
    with pytest.raises(InputError, match="splits.train.shards.0.file"):
        Dataset(tmp_path / "p", "train")
    rewritten(tmp_path / "p", lambda index: index.update(format=1))
    with pytest.raises(InputError, match="format 1, this version reads 2; prepare the pictures again"):
        Dataset(tmp_path / "p", "train")
    made(tmp_path / "q")
    for ids, said in ((["ant", "bee", "cat"], "3 ids of classes and 2 names"), (["ant", "ant"], "stands there twice")):
        rewritten(tmp_path / "q", lambda index, ids=ids: index.update(class_ids=ids))
        with pytest.raises(InputError, match=rf"no index of prepared pictures \(the file: .*{said}\); prepare them"):
            Dataset(tmp_path / "q", "train")
    rewritten(tmp_path / "q", lambda index: index.update(class_ids=CLASSES))
    with open(tmp_path / "q/train.txt", "a") as file:
        file.write("one/more.JPEG\n")
    with pytest.raises(InputError, match="train.txt: damaged or missing"):
        Dataset(tmp_path / "q", "train")
