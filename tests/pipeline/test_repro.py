"""Whole runs through DVC: what runs, what does not, what it leaves."""

import json
import shutil

import pytest

from effnet.results.metrics import interval

STAGES = ["prepare", "pretrained", "train", "evaluate", "export", "quantize", "onnx_eval"]
STAGES += ["build310", "infer310", "parity"]


def read(project, name):
    return json.loads((project.folder / "metrics" / f"{name}.json").read_text())


def test_first_run_goes_through_every_stage(finished):
    assert set(finished.ran(finished.first)) == set(STAGES)
    for name in ("evaluate", "onnx/float32", "infer310"):
        metrics = read(finished, name)
        assert metrics["images"] == 359  # a fifth of each class of 1,797, rounded
        smoothed = {"smoothed_loss"} if name == "evaluate" else set()
        assert set(metrics) == {"top1", "top5", "loss", "images"} | smoothed
        low, high = interval(metrics)
        assert 0 <= low <= metrics["top1"] <= high <= 1
        assert metrics["top1"] <= metrics["top5"]
    assert set(read(finished, "train")) == {"epoch", "loss", "best_top1"}


def test_runtimes_agree(finished):
    evaluate, onnx = read(finished, "evaluate"), read(finished, "onnx/float32")
    assert abs(evaluate["top1"] - onnx["top1"]) * evaluate["images"] <= 1
    assert abs(evaluate["loss"] - onnx["loss"]) < 1e-4
    assert read(finished, "provenance/onnx_eval")["device"]["target"] == "CPUExecutionProvider"
    cpp = read(finished, "infer310")
    assert abs(evaluate["top1"] - cpp["top1"]) * evaluate["images"] <= 1
    assert abs(evaluate["loss"] - cpp["loss"]) < 1e-4
    assert read(finished, "provenance/infer310")["device"]["target"] == "MindSpore Lite cpu"


def test_second_run_does_nothing(finished):
    assert finished.ran(finished.run("dvc", "repro").stdout) == []


@pytest.mark.parametrize(
    "key, value, stages",
    [
        ("data.shards", 5, "prepare"),
        ("model.dropout", 0.5, "train"),
        ("train.lr_max", 0.002, "train"),
        ("validation.resize", 40, "train"),  # it is what the model says of itself
        ("evaluate.batch_size", 50, "evaluate"),
        ("evaluate.resize", 40, "evaluate export quantize onnx_eval"),
        ("export.opset", 20, "export quantize"),
        ("onnx.batch_size", 50, "onnx_eval infer310"),
        ("train.threads", 1, "train evaluate"),
        ("onnx.threads", 1, "quantize onnx_eval infer310"),
        ("data.workers", 1, ""),
        ("train.keep_checkpoint_max", 7, ""),
    ],
)
def test_only_what_an_edit_concerns_is_out_of_date(finished, key, value, stages):
    """The stages themselves; those after them run where their outputs turn out other."""
    kept = (finished.folder / "params.yaml").read_text()
    finished.set(**{key.replace(".", "__"): value})
    try:
        out = finished.run("dvc", "repro", "--dry").stdout
    finally:
        (finished.folder / "params.yaml").write_text(kept)
    assert sorted(finished.ran(out)) == sorted(stages.split())


def test_onnx_eval_does_not_import_mindspore(finished):
    code = "import sys, stages.onnx_eval, stages.parity; sys.exit('mindspore' in sys.modules)"
    finished.run("python", "-c", code)


def test_bad_params_end_in_one_sentence(project):
    path = project.folder / "params.yaml"
    path.write_text(path.read_text().replace("  lr_max:", "  lr_maks:"))
    failed = project.run("python", "-m", "stages.train", check=False)
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    for words in ("params.yaml:", "'train.lr_maks'", "did you mean 'lr_max'"):
        assert words in failed.stderr


def test_missing_device_ends_at_once_in_one_sentence(project):
    project.set(train__device_target="Ascend")
    failed = project.run("python", "-m", "stages.train", check=False)
    assert failed.returncode == 2 and failed.stderr.startswith("error: ") and "Ascend" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_nan_loss_names_the_step_and_keeps_the_last_checkpoint(finished, project):
    shutil.copytree(finished.folder / "data/prepared", project.folder / "data/prepared")
    project.set(train__lr_max=1e30, train__epoch_size=3, train__save_checkpoint_steps=1, train__warmup_epochs=2.0)
    failed = project.run("python", "-m", "stages.train", check=False)
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert "epoch 1, step" in failed.stderr and "learning rate" in failed.stderr
    assert list((project.folder / "models/checkpoints").glob("step-*.ckpt"))
    assert not (project.folder / "models/effnet.ckpt").exists()
