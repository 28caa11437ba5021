"""effnet/sources/fashion.py: Fashion-MNIST's idx files become shards of JPEGs; a damaged one is named."""

import gzip
import io
import struct

import numpy as np
import pytest
from PIL import Image

from effnet.errors import InputError
from effnet.shards.dataset import Dataset
from effnet.sources import fashion, raw
from effnet.sources.build import build_shards
from tests.pictures import settings

FILES = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"]
FILES += ["t10k-labels-idx1-ubyte.gz"]


def packed(values):
    """An idx file, written by the format's own words: two zeros, the type, the dimensions, the values."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


@pytest.fixture
def clothes(tmp_path):
    """A folder with the four files of 30 and 20 smooth pictures, and `{file: values}`."""
    random, found = np.random.default_rng(0), {}
    for name, count in (("train", 30), ("t10k", 20)):
        small = random.integers(0, 256, (count, 3, 3), np.uint8)
        large = [np.asarray(Image.fromarray(picture).resize((28, 28), Image.Resampling.BICUBIC)) for picture in small]
        found[f"{name}-images-idx3-ubyte.gz"] = np.stack(large)
        found[f"{name}-labels-idx1-ubyte.gz"] = random.permutation(np.arange(count) % 10).astype(np.uint8)
    (tmp_path / "raw").mkdir()
    for name, values in found.items():
        (tmp_path / "raw" / name).write_bytes(gzip.compress(packed(values)))
    return tmp_path / "raw", found


def test_pictures_and_labels_are_those_of_the_files(clothes, tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "NOTES", tmp_path / "cache")
    root, values = clothes
    data = settings(root, source="fashion", shards=2)
    build_shards(data, tmp_path / "out", 10)
    for split, name in (("train", "train"), ("val", "t10k")):
        dataset = Dataset(tmp_path / "out", split)
        numbers = [int(picture.split("/")[1].removesuffix(".JPEG")) for picture in dataset.names]
        assert sorted(numbers) == list(range(len(values[f"{name}-labels-idx1-ubyte.gz"])))
        assert dataset.labels.tolist() == values[f"{name}-labels-idx1-ubyte.gz"][numbers].tolist()
        for i, number in enumerate(numbers):
            with Image.open(io.BytesIO(dataset.read(i))) as picture:
                assert picture.format == "JPEG" and picture.mode == "L"
                exact = values[f"{name}-images-idx3-ubyte.gz"][number].astype(int)
                assert np.abs(np.asarray(picture) - exact).mean() < 3
    assert dataset.classes[9] == "Ankle boot" and dataset.class_ids == [str(label) for label in range(10)]

    before = raw.describe(data)
    assert (before["files"], before["root"]) == (4, str(root))
    plain = root / FILES[3]
    (root / FILES[3].removesuffix(".gz")).write_bytes(gzip.decompress(plain.read_bytes()))
    plain.unlink()  # not gzipped does as well
    build_shards(data, tmp_path / "plain", 10)
    assert Dataset(tmp_path / "plain", "val").digest == Dataset(tmp_path / "out", "val").digest
    assert raw.describe(data)["content"] != before["content"]


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (0, None, f"no such file; data.root must hold {', '.join(FILES)}"),
        (0, lambda data: data[:400], r"damaged or unreadable \("),
        (0, lambda data: b"not gzip" + data, r"damaged or unreadable \("),
        (0, lambda data: gzip.compress(gzip.decompress(data)[:-1]), "truncated; fetch it again"),
        (0, lambda data: gzip.compress(gzip.decompress(data) + b"0"), "more bytes than its header says"),
        (0, lambda data: gzip.compress(packed(np.zeros((30, 28, 27), np.uint8))), "header says 30 x 28 x 27, expected"),
        (0, lambda data: gzip.compress(gzip.decompress(data)[:9]), "not an idx file of bytes with 3 dimensions"),
        (1, lambda data: gzip.compress(b""), "not an idx file of bytes with 1 dimensions"),
        (1, lambda data: gzip.compress(packed(np.zeros(29, np.uint8))), "29 labels for 30 pictures in train-images"),
        (3, lambda data: gzip.compress(packed(np.full(20, 10, np.uint8))), "damaged: label 10, there are 10 classes"),
        (2, lambda data: gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 28, 28)), "header says 4294967295 x"),
    ],
)
def test_what_is_missing_or_damaged_is_named(clothes, tmp_path, number, change, message):
    path = clothes[0] / FILES[number]
    path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    with pytest.raises(InputError, match=f"{FILES[number]}: .*{message}") as caught:
        build_shards(settings(clothes[0], source="fashion", shards=1), tmp_path / "out", 10)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_a_recipe_without_the_files_is_told_what_belongs_there(tmp_path):
    assert raw.describe(settings(tmp_path, source="fashion")) is None


def test_parser_agrees_with_numpy(tmp_path):
    values = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    (tmp_path / "a").write_bytes(packed(values))
    assert np.array_equal(fashion.idx(tmp_path / "a", (4, 5)), values)
