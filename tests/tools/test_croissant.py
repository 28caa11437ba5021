"""tools/croissant.py: what it describes is what a Croissant loader reads. `make test-peers` brings mlcroissant."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from effnet.shards.dataset import Dataset
from effnet.sources.build import build_shards
from tests.pictures import settings, tree
from tools import croissant

pytestmark = pytest.mark.peers


def test_a_loader_reads_every_picture_and_its_class(tmp_path, monkeypatch):
    import mlcroissant as mlc
    from etils import epath

    # the loader knows what it once extracted by the archive's name alone
    monkeypatch.setattr("mlcroissant._src.operation_graph.operations.extract.EXTRACT_PATH", epath.Path(tmp_path / "x"))
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "pictures")
    build_shards(settings(tmp_path / "pictures"), "data/prepared", 3)
    assert croissant.main() == 0
    described = mlc.Dataset(jsonld=os.fspath(croissant.FOLDER / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    for split in ("train", "val"):
        dataset = Dataset("data/prepared", split)
        records = {record[f"{split}/name"].decode(): record for record in described.records(split)}
        assert sorted(records) == sorted(dataset.names)
        for i, name in enumerate(dataset.names):
            assert records[name][f"{split}/class"].decode() == dataset.class_ids[dataset.labels[i]]
            picture = np.asarray(Image.open(io.BytesIO(dataset.read(i))))
            assert np.array_equal(np.asarray(records[name][f"{split}/picture"]), picture)


def test_without_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(croissant.InputError, match="data/prepared/index.json: no such file; `make pull` brings"):
        croissant.main()
