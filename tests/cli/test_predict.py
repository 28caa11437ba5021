"""`effnet predict` as a user runs it."""

import json
import os

import numpy as np
import pytest

from effnet.cli import predict
from effnet.cli.main import main
from effnet.errors import InputError
from tests.cli.conftest import CLASSES
from tests.cli.test_main import effnet
from tests.pictures import jpeg


def test_checkpoint_and_onnx_agree_and_give_probabilities(models, photos):
    paths = predict.pictures([str(photos / "album")])
    assert [os.path.basename(path) for path in paths] == ["0.jpg", "1.jpg", "2.jpg"]
    found = [
        list(predict.predict(predict.load(models / name), paths))
        for name in ("effnet.ckpt", "effnet.onnx", "inside.onnx")
    ]
    for checkpoints, *exports in zip(*found, strict=True):
        names, ids, odds = zip(*checkpoints[1], strict=True)
        assert sorted(names) == CLASSES and ids == tuple("n" + str(CLASSES.index(name) + 1) for name in names)
        assert sum(odds) == pytest.approx(1) and list(odds) == sorted(odds, reverse=True)
        for _, guesses, _ in exports:
            assert [guess.name for guess in guesses] == list(names)
            np.testing.assert_allclose([guess.probability for guess in guesses], odds, atol=1e-6)


def test_a_bad_picture_is_reported_and_the_rest_go_on(models, photos):
    (photos / "album" / "1" / "1.jpg").write_bytes(jpeg(1)[:200])
    (photos / "empty").mkdir()
    code, out, err = effnet(
        "predict",
        "album",
        "empty",
        "none*.jpg",
        "album/*/2.jpg",
        "--model",
        models / "effnet.onnx",
        "--top",
        2,
        cwd=photos,
    )
    assert code == 1
    assert [line.split(":")[0] for line in out.splitlines()] == ["album/0/0.jpg", "album/2/2.jpg", "album/2/2.jpg"]
    assert all(line.count("%") == 2 for line in out.splitlines())
    assert err.splitlines()[0].startswith("album/1/1.jpg: not a readable picture (")
    assert err.splitlines()[1:] == [
        "empty: a folder without pictures", "none*.jpg: no such file or directory", "3 of 6 pictures could not be read",
    ]  # fmt: skip


def test_json_is_one_object_a_picture(models, photos):
    code, out, err = effnet(
        "predict", "album/0/0.jpg", "album/notes.txt", "--model", models / "effnet.onnx", "--json", cwd=photos
    )
    first, second = map(json.loads, out.splitlines())
    assert code == 1 and first["picture"] == "album/0/0.jpg" and len(first["predictions"]) == 3
    assert first["predictions"][0].keys() == {"name", "class_id", "probability"}
    assert second["picture"] == "album/notes.txt" and second["error"].startswith("not a readable picture")


def test_the_default_model_is_the_pipelines(models, photos):
    code, out, err = effnet("predict", "album", cwd=photos)
    assert (code, out) == (2, "") and err.startswith(
        "error: models/effnet.onnx: no such file; `dvc repro export` writes it"
    )
    (photos / "models").symlink_to(models)
    assert effnet("predict", "album", cwd=photos)[0] == 0


def test_bad_models_and_arguments_are_refused_in_a_sentence(models, photos):
    with pytest.raises(InputError, match="takes pictures of 32 x 64; predict needs a square model"):
        predict.load(models / "wide.onnx")
    (photos / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(InputError, match="junk.onnx: ONNX Runtime cannot load it"):
        predict.load(photos / "junk.onnx")
    (photos / "junk.ckpt").write_bytes(b"junk")
    with pytest.raises(InputError, match="junk.ckpt: damaged or not a MindSpore checkpoint"):
        predict.load(photos / "junk.ckpt")
    with pytest.raises(InputError, match="--top: 0 is not a number of classes"):
        main(["predict", "x.jpg", "--top", "0"])
