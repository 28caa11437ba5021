"""What `dvc repro` does with a run that is there already: take it up, give it way, set it aside, or ask."""

import json

import pytest

from effnet.network import checkpoint
from tests.conftest import copied


@pytest.fixture
def ran(finished, tmp_path):
    """A copy of the finished project of the test's own."""
    return copied(finished, tmp_path / "project")


UNTRAINED = ("models/effnet.ckpt", "metrics/train.json", "metrics/provenance/run.json")


def edit(project, name, old, new):
    path = project.folder / name
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def rewrite(project, **changes):
    """Change what the newest checkpoint says of itself."""
    path = max((project.folder / "models/checkpoints").glob("step-*.ckpt"))
    arrays, meta = checkpoint.load(path)
    path.unlink()
    checkpoint.save(path, arrays, meta | changes)
    return meta


def test_after_a_comment_nothing_is_trained_and_every_byte_is_the_same(ran):
    before = {name: (ran.folder / name).read_bytes() for name in UNTRAINED}
    edit(ran, "effnet/training/loop.py", "def final_weights", "# a comment\n\n\ndef final_weights")
    out = ran.run("dvc", "repro").stdout
    assert ran.ran(out) == ["train"] and "taken up, nothing is trained" in out and "epoch 1:" not in out
    assert before == {name: (ran.folder / name).read_bytes() for name in before}


def test_anew_trains_all_the_same(ran):
    out = ran.run("dvc", "repro", "--single-item", "--force", "train", env={"ANEW": "1"}).stdout
    assert "ANEW=1: it gives way" in out and "epoch 2:" in out


def test_a_setting_of_evaluation_trains_nothing(ran):
    ran.set(evaluate__resize=36)
    out = ran.run("dvc", "repro").stdout
    # not build310: resizing is no part of the MINDIR, which is the same bytes
    assert ran.ran(out) == ["evaluate", "export", "quantize", "onnx_eval", "infer310", "parity"]
    assert json.loads((ran.folder / "models/effnet.json").read_text())["resize"] == 36


def test_an_unfinished_run_under_other_code_stops_dvc_and_names_the_function(ran):
    meta = checkpoint.load(max((ran.folder / "models/checkpoints").glob("step-*.ckpt")))[1]
    rewrite(ran, place=meta["place"] | {"epoch": 1, "updates": 22, "history": meta["place"]["history"][:1]})
    edit(ran, "effnet/training/schedule.py", "train.lr_max - span * t", "train.lr_max - span * t * 1.0")
    failed = ran.run("dvc", "repro", "train", check=False)
    assert failed.returncode != 0 and "learning_rate in effnet/training/schedule.py" in failed.stderr
    assert "CONTINUE=1" in failed.stderr and "Traceback" not in failed.stderr
    out = ran.run("dvc", "repro", "train", env={"CONTINUE": "1"}).stdout
    assert "epoch 2:" in out and "epoch 1:" not in out
    found = json.loads((ran.folder / "metrics/provenance/run.json").read_text())["continued"]
    assert found == [{"epoch": 1, "step": 0, "changed": ["learning_rate in effnet/training/schedule.py"]}]
