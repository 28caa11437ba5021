"""Logits come back as they were kept, and only with the model and the pictures that they are of."""

from types import SimpleNamespace

import numpy as np
import pytest

from effnet.errors import InputError
from effnet.results import logits

META, DATASET = {"recipe_digest": "a" * 64}, SimpleNamespace(digest="d" * 64)
STAGES = {"mindspore": "evaluate", "onnx": "onnx_eval"}
ANSWERS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(digest=META["recipe_digest"], dataset=DATASET):
    return logits.read(STAGES, digest, dataset, STAGES)


def test_they_come_back_by_runtime():
    logits.keep("mindspore", ANSWERS, META, DATASET)
    logits.keep("onnx", ANSWERS.astype(np.float64) + 1, META, DATASET)
    found = read()
    assert list(found) == ["mindspore", "onnx"] and found["onnx"].dtype == np.float32
    np.testing.assert_array_equal(found["mindspore"], ANSWERS)
    np.testing.assert_array_equal(found["onnx"], (ANSWERS.astype(np.float64) + 1).astype(np.float32))


def test_a_missing_one_names_the_stage_to_run():
    logits.keep("mindspore", ANSWERS, META, DATASET)
    with pytest.raises(InputError, match=r"onnx\.npz: .* `dvc repro --single-item --force onnx_eval` makes them$"):
        read()


@pytest.mark.parametrize("of", [{"digest": "b" * 64}, {"dataset": SimpleNamespace(digest="e" * 64)}])
def test_those_of_another_model_or_other_pictures_are_refused(of):
    for runtime in STAGES:
        logits.keep(runtime, ANSWERS, META, DATASET)
    with pytest.raises(InputError, match=r"mindspore\.npz: logits of another model or other pictures; .* evaluate` "):
        read(**of)
