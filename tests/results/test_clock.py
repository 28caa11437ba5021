"""What is true of one run on one machine: it is all there, and in no file that git or DVC keeps."""

import json
from datetime import datetime

import pytest

from effnet.results import clock

RUNS = ("train", "evaluate", "onnx", "onnx_float16", "onnx_int8", "infer310")


@pytest.mark.parametrize("name", RUNS)
def test_says_when_where_and_how_fast(finished, name):
    found = json.loads((finished.folder / f"metrics/clock/{name}.json").read_text())
    assert found["revision"] == finished.start and found["edited"] == []
    assert found["seconds"] > 0 and found["images_per_second"] > 0 and found["cores"] >= 1
    assert found["python"].startswith("3.") and datetime.fromisoformat(found["finished"]).tzinfo


def test_a_training_s_is_told_epoch_by_epoch(finished):
    found = json.loads((finished.folder / "metrics/clock/train.json").read_text())
    assert [record["epoch"] for record in found["epochs"]] == [1, 2]
    assert found["seconds"] == pytest.approx(sum(record["seconds"] for record in found["epochs"]), rel=1e-3)


def test_it_is_in_no_output(finished):
    """Nor is it in the model: another machine's training would be another file."""
    assert {path.stem for path in (finished.folder / "metrics/clock").iterdir()} == set(RUNS)
    assert finished.run("git", "check-ignore", "metrics/clock/train.json").stdout
    tracked = [
        path for path in (finished.folder / "metrics").rglob("*") if path.is_file() and "clock" not in path.parts
    ]
    for path in [*tracked, finished.folder / "models/effnet.ckpt"]:
        data = path.read_bytes()
        assert b"images_per_second" not in data and b'"seconds"' not in data and finished.start.encode() not in data, (
            path
        )
    assert not list((finished.folder / "metrics/train").rglob("*second*"))


def test_edits_are_named_but_not_our_own_outputs(project):
    project.set(train__lr_max=0.002)
    (project.folder / "stages/mine.py").write_text("")
    (project.folder / "dvc.lock").write_text("")
    (project.folder / "metrics").mkdir()
    (project.folder / "metrics/train.json").write_text("{}")
    code = "from effnet.results import clock; print(clock.git_state()['edited'])"
    assert project.run("python", "-c", code).stdout.strip() == "['params.yaml', 'stages/mine.py']"


def test_outside_git_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert clock.git_state() == {"revision": None, "edited": []}
    clock.write(tmp_path / "clock.json", 2.0, 31, epochs=[])
    found = json.loads((tmp_path / "clock.json").read_text())
    assert (found["seconds"], found["images_per_second"], found["epochs"]) == (2.0, 15.5, [])
