"""effnet/sources/writer.py: shards are plain tars, the index counts what they hold, nothing torn is left."""

import json
import tarfile

import pytest

from effnet.sources.writer import write_shard
from tests.shards.test_dataset import made


def test_a_shard_is_a_plain_tar(tmp_path):
    pictures = [
        (name, bytes([i]) * size, 0)
        for i, (name, size) in enumerate([("a/b", 0), ("a/ü" + "x" * 200, 513), ("c" * 90 + "/" + "d" * 90, 512)])
    ]
    record = write_shard(tmp_path / "t.tar", pictures)
    with tarfile.open(tmp_path / "t.tar") as tar:
        found = [(member.name, tar.extractfile(member).read()) for member in tar]
        assert all(member.mtime == 0 and member.uid == 0 and not member.uname for member in tar.getmembers())
        assert [member.offset_data for member in tar.getmembers()] == record["offsets"]
    assert found == [(name, data) for name, data, _ in pictures]
    assert record["bytes"] == (tmp_path / "t.tar").stat().st_size


def test_the_index_counts_each_class_of_each_shard(tmp_path):
    made(tmp_path / "p")
    train = json.loads((tmp_path / "p" / "index.json").read_text())["splits"]["train"]
    assert train["images"] == 5
    assert [shard["classes"] for shard in train["shards"]] == [{"ant": 2, "bee": 1}, {"ant": 1, "bee": 1}]


def test_a_shard_that_breaks_off_leaves_no_file(tmp_path):
    def pictures():
        yield "a/1", b"x" * 10_000, 0
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_shard(tmp_path / "t.tar", pictures())
    assert list(tmp_path.iterdir()) == []
