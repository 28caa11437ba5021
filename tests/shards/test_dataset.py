"""effnet/shards: what was written comes back; damage is named."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from effnet.errors import InputError
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
    write_index(folder, {}, CLASSES, ["Ant", "Bee"], {"train": iter(records)})
    return pictures


def test_every_picture_comes_back(tmp_path):
    pictures = made(tmp_path / "p")
    dataset = Dataset(tmp_path / "p", "train")
    assert len(dataset) == len(pictures)
    assert [dataset.read(i) for i in range(len(dataset))] == [data for _, data, _ in pictures]
    assert dataset.names == [name for name, _, _ in pictures]
    assert dataset.labels.dtype == np.int32 and dataset.labels.tolist() == [label for _, _, label in pictures]
    assert dataset.class_ids == CLASSES and dataset.classes == ["Ant", "Bee"]


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
