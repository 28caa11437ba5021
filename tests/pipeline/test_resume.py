"""A run that dies and one that never did end with the same bytes; one that must not be resumed is not."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from tests.conftest import copy_project
from tests.processes import workers_in

TRAIN = ["-m", "stages.train"]


def start(project):
    env = os.environ | {"PYTHONPATH": str(project.folder), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, *TRAIN], cwd=project.folder, env=env, **pipes)


def train(project, **options):
    return project.run("python", *TRAIN, **options)


def stop(project, checkpoints):
    """Train, and end it by SIGTERM once there are so many checkpoints."""
    project.set(train__save_checkpoint_steps=3)
    process = start(project)
    wait_for_checkpoints(project, process, checkpoints)
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 75 and "the state is saved" in out, out


def kept(project):
    """Names of the checkpoints to go on from, oldest first."""
    return sorted(path.name for path in (project.folder / "models/checkpoints").glob("step-*.ckpt"))


def folders(project):
    return sorted(path.name for path in (project.folder / "models").iterdir() if path.is_dir())


def prepared(finished, folder, **values):
    project = copy_project(folder)
    shutil.copytree(finished.folder / "data/prepared", project.folder / "data/prepared")
    project.set(**values)
    return project


def wait_for_checkpoints(project, process, count, seconds=120):
    end = time.time() + seconds
    while len(kept(project)) < count:
        assert time.time() < end and process.poll() is None, process.stdout.read()
        time.sleep(0.01)


AVERAGED = {
    "train__save_checkpoint_steps": 3, "train__keep_checkpoint_max": 99, "train__ema_decay": 0.99,
    "model__drop_connect": 0.2, "augment__color_jitter": [0.2, 0.2, 0.2], "augment__mixup": 0.2,
}  # fmt: skip
SHORT = {"train__epoch_size": 1, "train__warmup_epochs": 0.0}


def test_kill_9_and_again_equals_never_stopped(finished, tmp_path):
    whole = prepared(finished, tmp_path / "whole", **AVERAGED)
    broken = prepared(finished, tmp_path / "broken", **AVERAGED)
    train(whole)
    process = start(broken)
    wait_for_checkpoints(broken, process, 6)
    time.sleep(random.random() / 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    out = train(broken).stdout
    assert "resumed at epoch" in out
    for name in ("models/effnet.ckpt", "models/checkpoints/best.ckpt"):
        assert (broken.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert kept(broken)[-1] == kept(whole)[-1]


def test_sigterm_saves_and_a_damaged_newest_falls_back(finished, tmp_path):
    project = prepared(finished, tmp_path / "project", train__keep_checkpoint_max=2)
    stop(project, checkpoints=2)
    newest = project.folder / "models/checkpoints" / kept(project)[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    out = train(project).stdout
    assert f"{newest.name}: damaged" in out and "trying the one before" in out and "resumed at epoch" in out


@pytest.mark.parametrize("change", [pytest.param({"train__lr_max": 0.002}, marks=pytest.mark.soak), SHORT])
def test_a_finished_run_gives_way_to_another_recipe(finished, tmp_path, change):
    """Fewer epochs than were trained are another recipe like any other."""
    project = prepared(finished, tmp_path / "project", **change)
    shutil.copytree(finished.folder / "models/checkpoints", project.folder / "models/checkpoints")
    before = kept(project)
    out = train(project).stdout
    key = next(iter(change)).replace("__", ".")
    assert f"models/checkpoints holds a finished run of another recipe or other data ({key} " in out
    assert "it gives way" in out and "training starts anew" in out and "resumed" not in out
    assert folders(project) == ["checkpoints"] and (project.folder / "models/effnet.ckpt").is_file()
    if "train__epoch_size" in change:
        assert kept(project) != before and json.loads((project.folder / "metrics/train.json").read_text())["epoch"] == 1


@pytest.mark.soak  # tests/runs/test_run.py has the parts of it
def test_an_unfinished_run_is_set_aside_and_comes_back_with_its_recipe(finished, tmp_path):
    project = prepared(finished, tmp_path / "project")
    stop(project, checkpoints=1)
    before = {name: (project.folder / "models/checkpoints" / name).read_bytes() for name in kept(project)}
    was = yaml.safe_load((project.folder / "params.yaml").read_text())["train"]["lr_max"]
    project.set(train__lr_max=0.002, **SHORT)
    out = train(project).stdout
    assert "models/checkpoints holds a run that had come to epoch 1, step " in out and "resumed" not in out
    aside = next(name for name in folders(project) if name != "checkpoints")
    assert aside.startswith("checkpoints.epoch_1.train.epoch_size_2.train.lr_max_") and "it is set aside" in out
    assert f"train.lr_max {was}, train.warmup_epochs " in out.rsplit("with ")[-1]
    assert {name: (project.folder / "models" / aside / name).read_bytes() for name in before} == before

    project.set(train__lr_max=was, train__epoch_size=2, train__warmup_epochs=1.0)
    project.run("bash", "-c", re.search("bring it back: `(.*)`", out)[1])
    assert folders(project) == ["checkpoints"]
    assert "resumed at epoch 1, step " in train(project).stdout


def test_one_training_at_a_time(finished, tmp_path):
    project = prepared(finished, tmp_path / "project", train__save_checkpoint_steps=3)
    process = start(project)
    try:
        wait_for_checkpoints(project, process, 1)
        done = train(project, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert f"another training is at work here: process {process.pid} on " in done.stderr
    finally:
        process.kill()
        process.wait()


def test_a_process_that_dies_ends_the_job(finished, tmp_path):
    project = prepared(finished, tmp_path / "project", train__device_num=2, train__save_checkpoint_steps=1)
    process = start(project)
    wait_for_checkpoints(project, process, 1)
    began = time.time()
    os.kill(workers_in(project.folder)[-1], signal.SIGKILL)
    out, _ = process.communicate(timeout=90)
    assert process.returncode != 0 and time.time() - began < 60 and "error: " in out, out
