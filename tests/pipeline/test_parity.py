"""The parity stage on a real run: every runtime answers alike, and it fails where one does not."""

import csv
import json
import shutil
from itertools import combinations

import numpy as np
import pytest

from tests.conftest import Project

FLOAT32, QUANTIZED = ("mindspore", "onnx", "infer310"), ("onnx_float16", "onnx_int8")


def pairs(folder):
    with open(folder / "metrics/parity/pairs.csv", newline="") as file:
        return {row["pair"]: row for row in csv.DictReader(file)}


def worst(folder):
    return json.loads((folder / "metrics/parity.json").read_text())


def test_the_smoke_run_answers_alike_everywhere(finished):
    found = pairs(finished.folder)
    assert set(found) == {f"{a}-{b}" for a, b in combinations((*FLOAT32, *QUANTIZED), 2)}
    float32 = [found[f"{a}-{b}"] for a, b in combinations(FLOAT32, 2)]
    assert all(float(row["equal_top1"]) == 1 and float(row["largest_difference"]) == 1e-4 for row in float32)
    assert worst(finished.folder) == {"worst_difference": 1e-4}
    assert float(found["mindspore-onnx_int8"]["largest_difference"]) > 1e-3
    with open(finished.folder / "metrics/parity/differences.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["pictures", "onnx", "infer310", "onnx_int8", "onnx_float16"] and len(rows) == 21
    assert 10 ** float(rows[-1]["onnx_int8"]) == pytest.approx(
        float(found["mindspore-onnx_int8"]["largest_difference"]), rel=0.02
    )


@pytest.fixture
def alone(finished, tmp_path):
    """As much of the run as the stage reads."""
    for name in ("metrics", "params.yaml", "data/prepared", "effnet", "stages"):
        source, target = finished.folder / name, tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target, symlinks=False) if source.is_dir() else shutil.copy(source, target)
    return Project(tmp_path)


def refused(project):
    failed = project.run("python", "-m", "stages.parity", check=False)
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1
    return failed.stderr


def test_it_fails_with_one_sentence_when_a_runtime_answers_otherwise(alone):
    path = alone.folder / "metrics/logits/infer310.npz"
    with np.load(path) as kept:
        logits, of = kept["logits"], kept["of"]
    logits[7, 3] += 0.01
    np.savez(path, logits=logits, of=of)
    shutil.rmtree(alone.folder / "metrics/parity")
    assert refused(alone).startswith("error: parity: mindspore and infer310 differ by 0.01 in a logit of ")
    assert worst(alone.folder)["worst_difference"] in (1e-3, 2e-3)  # written all the same
    assert float(pairs(alone.folder)["onnx-infer310"]["largest_difference"]) > 9e-4


def test_logits_that_are_not_here_are_made_again(finished, alone):
    """DVC skips a stage whose metrics it has, as in a clone that trained a model of the same answers."""
    before = {path: path.read_bytes() for path in (alone.folder / "metrics").rglob("*.json")}
    (alone.folder / "models").symlink_to(finished.folder / "models")
    for name in ("onnx", "onnx_int8", "mindspore"):
        (alone.folder / f"metrics/logits/{name}.npz").unlink()
    said = alone.run("python", "-m", "stages.parity").stdout
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "metrics/logits/mindspore.npz",
        "metrics/logits/onnx.npz",
    ]
    assert {path: path.read_bytes() for path in before} == before
    assert pairs(alone.folder) == pairs(finished.folder)


def test_logits_that_are_not_here_are_named_with_the_stage_that_makes_them(alone):
    """As in a clone: they are kept where they were made."""
    (alone.folder / "metrics/logits/onnx_int8.npz").unlink()
    assert "onnx_int8.npz: the logits are not here" in (said := refused(alone))
    assert "`dvc repro --single-item --force onnx_eval` makes them" in said


def test_logits_of_another_model_are_refused(alone):
    path = alone.folder / "metrics/provenance/evaluate.json"
    path.write_text(path.read_text().replace(json.loads(path.read_text())["recipe"], "0" * 64))
    assert "mindspore.npz: logits of another model or other pictures" in refused(alone)
