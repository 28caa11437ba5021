"""Logits come back as they were kept, and only with the model and the pictures that they are of."""

import numpy as np
import pytest

from effnet.errors import InputError
from effnet.results import logits


class Pictures:
    """As much of a Dataset as the module asks for: five pictures of three classes."""

    classes = ("a", "b", "c")

    def __init__(self, digest):
        self.digest = digest

    def __len__(self):
        return 5


META, DATASET = {"recipe_digest": "a" * 64}, Pictures("d" * 64)
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


@pytest.mark.parametrize("of", [{"digest": "b" * 64}, {"dataset": Pictures("e" * 64)}])
def test_those_of_another_model_or_other_pictures_are_refused(of):
    for runtime in STAGES:
        logits.keep(runtime, ANSWERS, META, DATASET)
    with pytest.raises(InputError, match=r"mindspore\.npz: logits of another model or other pictures; .* evaluate` "):
        read(**of)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_no_numbers_are_not_kept(value):
    answers = ANSWERS.copy()
    answers[2, 1] = value
    with pytest.raises(InputError, match="mindspore: the answers to 1 of 5 pictures are NaN or infinite"):
        logits.keep("mindspore", answers, META, DATASET)
    assert not logits.FOLDER.exists()


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 99])
def test_damaged_ones_name_the_stage_to_run(damage):
    for runtime in STAGES:
        logits.keep(runtime, ANSWERS, META, DATASET)
    path = logits.FOLDER / "onnx.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        InputError, match=r"onnx\.npz: damaged .*; `dvc repro --single-item --force onnx_eval` makes them$"
    ):
        read()
