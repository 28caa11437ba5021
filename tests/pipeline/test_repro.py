"""Whole runs through DVC: what runs, what does not, what it leaves."""

import json
import shutil

STAGES = ["prepare", "train", "evaluate", "export", "onnx_eval", "build310", "infer310"]


def read(project, name):
    return json.loads((project.folder / "metrics" / f"{name}.json").read_text())


def test_first_run_goes_through_every_stage(finished):
    assert set(STAGES) <= set(finished.ran(finished.first))
    for name in ("evaluate", "onnx_eval", "infer310"):
        metrics = read(finished, name)
        assert metrics["images"] == 359  # a fifth of each class of 1,797, rounded
        assert (
            0 <= metrics["top1_low"] <= metrics["top1"] <= metrics["top1_high"] <= 1
            and metrics["top1"] <= metrics["top5"]
        )
    assert set(read(finished, "train")) == {"epoch", "loss", "images_per_second", "best_top1"}


def test_runtimes_agree(finished):
    evaluate, onnx = read(finished, "evaluate"), read(finished, "onnx_eval")
    assert abs(evaluate["top1"] - onnx["top1"]) * evaluate["images"] <= 1
    assert abs(evaluate["loss"] - onnx["loss"]) < 1e-4
    assert onnx["provider"] == "CPUExecutionProvider"
    cpp = read(finished, "infer310")
    assert abs(evaluate["top1"] - cpp["top1"]) * evaluate["images"] <= 1
    assert abs(evaluate["loss"] - cpp["loss"]) < 1e-4
    assert cpp["device"] == "cpu"


def test_second_run_does_nothing(finished):
    assert finished.ran(finished.run("dvc", "repro").stdout) == []


def test_only_what_an_edit_concerns_runs_again(finished):
    def would_run(**edit):
        kept = (finished.folder / "params.yaml").read_text()
        finished.set(**edit)
        try:
            return finished.ran(finished.run("dvc", "repro", "--dry").stdout)
        finally:
            (finished.folder / "params.yaml").write_text(kept)

    assert (
        "train" not in (stages := would_run(evaluate__batch_size=50))
        and "evaluate" in stages
        and "prepare" not in stages
    )
    assert "prepare" not in (stages := would_run(train__lr_max=0.002)) and "train" in stages
    assert "train" not in (stages := would_run(export__opset=20)) and "export" in stages and "evaluate" not in stages
    assert would_run(data__workers=1) == []


def test_onnx_eval_does_not_import_mindspore(finished):
    code = "import sys, effnet.onnx, effnet.data.loader, effnet.recipe; sys.exit('mindspore' in sys.modules)"
    finished.run("python", "-c", code)


def test_bad_params_end_in_one_sentence(project):
    path = project.folder / "params.yaml"
    path.write_text(path.read_text().replace("  lr_max:", "  lr_maks:"))
    failed = project.run("python", "stages/train.py", check=False)
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert (
        "params.yaml:" in failed.stderr
        and "'train.lr_maks'" in failed.stderr
        and "did you mean 'lr_max'" in failed.stderr
    )


def test_missing_device_ends_at_once_in_one_sentence(project):
    project.set(train__device_target="Ascend")
    failed = project.run("python", "stages/train.py", check=False)
    assert failed.returncode == 2 and failed.stderr.startswith("error: ") and "Ascend" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_nan_loss_names_the_step_and_keeps_the_last_checkpoint(finished, project):
    for name in ("data/prepared",):
        shutil.copytree(finished.folder / name, project.folder / name)
    project.set(train__lr_max=1e30, train__epoch_size=3, train__save_checkpoint_steps=1, train__warmup_epochs=2.0)
    failed = project.run("python", "stages/train.py", check=False)
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert "epoch 1, step" in failed.stderr and "learning rate" in failed.stderr
    assert list((project.folder / "models/checkpoints").glob("step-*.ckpt"))
    assert not (project.folder / "models/effnet.ckpt").exists()
