"""Fine-tuning by the stages: stopped in the frozen epochs it goes on there; the data says how many classes it has."""

import json
import re
import signal
import time

import pytest

from effnet.network import checkpoint
from tests.pipeline.test_resume import prepared, start, train

FROZEN = {"freeze_epochs": 400, "epoch_size": 401, "warmup_epochs": 0.0, "holdout": 0.1, "freeze_bn": True}


def looking(process):
    """Wait until the frozen trunk has looked at pictures, by the bar that it draws."""
    for line in process.stdout:
        if re.search(r"frozen epochs: .* [1-9]\d*/", line):
            return
    raise AssertionError("no frozen epochs")


# MindSpore makes a SIGTERM of a SIGINT while it is at work
@pytest.mark.parametrize("sent, codes", [(signal.SIGTERM, {75}), (signal.SIGINT, {75, 130})])
def test_stopped_in_the_frozen_epochs_it_goes_on_there(finished, tmp_path, sent, codes):
    values = {f"train__{key}": value for key, value in FROZEN.items()}
    project = prepared(finished, tmp_path / "project", model__class_num=0, **values)
    process = start(project)
    looking(process)
    began = time.monotonic()
    process.send_signal(sent)
    out, _ = process.communicate(timeout=60)
    assert process.returncode in codes and time.monotonic() - began < 10, out
    kept = project.folder / "models/checkpoints/frozen.ckpt"
    seen = len(checkpoint.load(kept)[0]["labels"])
    assert 0 < seen < 400 * 1280 and not list(kept.parent.glob("step-*"))

    again = start(project)
    for line in again.stdout:
        if "go on after" in line:
            assert f"after {seen} pictures" in line
            break
    again.kill()
    again.communicate()
    assert again.returncode == -signal.SIGKILL, "it ended before it said where it goes on"


def test_the_data_says_how_many_classes_and_epochs_there_are(finished, tmp_path):
    """And what came of it answers alike in ONNX Runtime, with timm's and PyTorch's epsilon of batch normalisation."""
    values = {"model__class_num": 0, "train__epoch_size": 0, "train__freeze_epochs": 1, "train__holdout": 0.1}
    values |= {"model__bn_eps": 1e-5, "export__quantize": [], "onnx__infer310": False}
    project = prepared(finished, tmp_path / "project", **values)
    out = train(project).stdout
    assert "1438 training pictures of 10 classes: 7 epochs, batches of 64" in out and "epoch 7:" in out
    assert "the model is that of epoch" in out.splitlines()[-1]
    assert checkpoint.load(project.folder / "models/effnet.ckpt")[1]["class_num"] == 10
    run = json.loads((project.folder / "metrics/provenance/run.json").read_text())
    assert run["identity"]["recipe"]["model.class_num"] == 10
    for stage in ("evaluate", "export", "quantize", "onnx_eval", "build310", "infer310", "parity"):
        project.run("python", "-m", f"stages.{stage}")
    assert json.loads((project.folder / "metrics/parity.json").read_text()) == {"worst_difference": 1e-4}
    assert json.loads((project.folder / "metrics/evaluate.json").read_text())["images"] == 359
    again = train(project).stdout
    assert "taken up, nothing is trained" in again and "the model is that of epoch" in again
