"""What stands beside each metrics file, and that it disturbs nothing."""

import hashlib
import json
import re

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
    assert found["revision"] == finished.start and found["edited"] == []
    assert found["data"] == hashlib.sha256((finished.folder / "data/prepared/index.json").read_bytes()).hexdigest()
    if STAGES[stage]:
        assert found["model"] == hashlib.sha256((finished.folder / STAGES[stage]).read_bytes()).hexdigest()
    assert found["seed"] == 1 and found["device"]["number"] == 1 and found["device"]["cores"] >= 1
    assert found["device"]["target"] == TARGETS.get(stage, "CPU")
    assert re.fullmatch(r"\d+\.\d+.*", found["versions"]["mindspore"]) and found["versions"]["python"].startswith("3.")
    assert found["seconds"] > 0 and found["images_per_second"] > 0


def test_one_recipe_one_digest_whatever_the_layout(finished, tmp_path):
    kept = [json.loads((finished.folder / f"metrics/provenance/{stage}.json").read_text()) for stage in STAGES]
    digests = {found["recipe"] for found in kept}
    same = yaml.safe_dump(yaml.safe_load((finished.folder / "params.yaml").read_text()))
    (tmp_path / "same.yaml").write_text(same)
    assert digests == {files.digest(recipe.training_values(recipe.load(tmp_path / "same.yaml")))}


def test_edits_are_named_but_not_our_own_outputs(project):
    project.set(train__lr_max=0.002)
    (project.folder / "stages/mine.py").write_text("")
    (project.folder / "dvc.lock").write_text("")
    (project.folder / "metrics").mkdir()
    (project.folder / "metrics/train.json").write_text("{}")
    code = "from effnet.results import provenance; print(provenance.git_state()['edited'])"
    assert project.run("python", "-c", code).stdout.strip() == "['params.yaml', 'stages/mine.py']"


def test_outside_git_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state() == {"revision": None, "edited": []}


def test_metrics_and_status_are_undisturbed(finished):
    shown = json.loads(finished.run("dvc", "metrics", "show", "--json").stdout)[""]["data"]
    assert not [path for path in shown if "provenance" in path]
    assert json.loads(finished.run("dvc", "status", "--json").stdout) == {}
