"""What stands beside each metrics file, and that it disturbs nothing."""

import hashlib
import json

import pytest
import yaml

from effnet import files, recipe
from effnet.results import provenance

STAGES = {
    "train": None,
    "evaluate": "models/effnet.ckpt",
    "onnx_eval": "models/effnet.onnx",
    "infer310": "models/infer310/effnet.mindir",
}
TARGETS = {"onnx_eval": "CPUExecutionProvider", "infer310": "MindSpore Lite cpu"}


@pytest.mark.parametrize("stage", STAGES)
def test_says_where_the_metrics_come_from(finished, stage):
    found = json.loads((finished.folder / f"metrics/provenance/{stage}.json").read_text())
    assert found["data"] == hashlib.sha256((finished.folder / "data/prepared/index.json").read_bytes()).hexdigest()
    if STAGES[stage]:
        assert found["model"] == hashlib.sha256((finished.folder / STAGES[stage]).read_bytes()).hexdigest()
    assert found["seed"] == 1 and found["device"] == {
        "target": TARGETS.get(stage, "CPU"),
        "number": 1,
        "precision": "float32",
    }
    assert found["versions"] == provenance.versions()


def test_what_a_clock_a_host_or_a_path_decides_is_not_in_it(finished):
    """A second run on another machine must write the same file: every key is known here, with what decides it."""
    for stage in STAGES:
        found = json.loads((finished.folder / f"metrics/provenance/{stage}.json").read_text())
        assert list(found) == ["recipe", "data", "model", "seed", "device", "versions"]
        assert str(finished.folder.name) not in json.dumps(found)


def test_versions_are_those_that_can_change_a_result():
    found = provenance.versions()
    assert list(found) == ["python", "mindspore", "numpy", "pillow", "scipy", "onnx", "onnxruntime"]
    assert found["python"].count(".") == 1 and found["mindspore"].count(".") >= 2


def test_one_recipe_one_digest_whatever_the_layout(finished, tmp_path):
    kept = [json.loads((finished.folder / f"metrics/provenance/{stage}.json").read_text()) for stage in STAGES]
    digests = {found["recipe"] for found in kept}
    same = yaml.safe_dump(yaml.safe_load((finished.folder / "params.yaml").read_text()))
    (tmp_path / "same.yaml").write_text(same)
    assert digests == {files.digest(recipe.training_values(recipe.load(tmp_path / "same.yaml")))}


def test_metrics_and_status_are_undisturbed(finished):
    shown = json.loads(finished.run("dvc", "metrics", "show", "--json").stdout)[""]["data"]
    assert shown and not [path for path in shown if "provenance" in path or "clock" in path]
    assert json.loads(finished.run("dvc", "status", "dvc.yaml", "--json").stdout) == {"source": ["always changed"]}
