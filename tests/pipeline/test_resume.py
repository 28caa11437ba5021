"""A run that dies and one that never did end with the same bytes; one that must not be resumed is not."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import copy_project


def start(project, *arguments):
    env = os.environ | {"PYTHONPATH": str(project.folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "stages/train.py", *arguments]
    return subprocess.Popen(
        command, cwd=project.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def prepared(finished, folder, **values):
    project = copy_project(folder)
    shutil.copytree(finished.folder / "data/prepared", project.folder / "data/prepared")
    project.set(**values)
    return project


def workers_in(folder):
    """Process numbers of the workers that msrun started in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder and b"MS_ROLE=MS_WORKER" in (process / "environ").read_bytes():
                if b"stages/train.py" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
    return sorted(found)[:2]  # what they start themselves comes later


def wait_for_checkpoints(project, process, count, seconds=120):
    end = time.time() + seconds
    while len(list((project.folder / "models/checkpoints").glob("step-*.ckpt"))) < count:
        assert time.time() < end and process.poll() is None, process.stdout.read()
        time.sleep(0.01)


AVERAGED = {
    "train__save_checkpoint_steps": 3, "train__keep_checkpoint_max": 99, "train__ema_decay": 0.99, "model__drop_connect": 0.2,
    "augment__color_jitter": [0.2, 0.2, 0.2], "augment__mixup": 0.2,
}  # fmt: skip


def test_kill_9_and_again_equals_never_stopped(finished, tmp_path):
    whole = prepared(finished, tmp_path / "whole", **AVERAGED)
    broken = prepared(finished, tmp_path / "broken", **AVERAGED)
    whole.run("python", "stages/train.py")
    for kills in (2, 6):
        process = start(broken)
        wait_for_checkpoints(broken, process, kills)
        time.sleep(random.random() / 4)
        process.send_signal(signal.SIGKILL)
        process.wait()
    out = broken.run("python", "stages/train.py").stdout
    assert "resumed at epoch" in out
    assert (broken.folder / "models/effnet.ckpt").read_bytes() == (whole.folder / "models/effnet.ckpt").read_bytes()
    last = sorted((whole.folder / "models/checkpoints").glob("step-*"))[-1].name
    assert (broken.folder / "models/checkpoints/best.ckpt").read_bytes() == (
        whole.folder / "models/checkpoints/best.ckpt"
    ).read_bytes()
    assert (broken.folder / "models/checkpoints" / last).exists()


def test_sigterm_saves_and_exits_with_75(finished, tmp_path):
    project = prepared(finished, tmp_path / "project", train__save_checkpoint_steps=3)
    process = start(project)
    wait_for_checkpoints(project, process, 1)
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 75 and "the state is saved" in out
    newest = sorted((project.folder / "models/checkpoints").glob("step-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])  # and the newest was damaged
    out = project.run("python", "stages/train.py").stdout
    assert f"{newest.name}: damaged" in out and "trying the one before" in out and "resumed" in out


def test_a_changed_recipe_starts_anew_and_loses_nothing(finished, tmp_path):
    project = prepared(finished, tmp_path / "project", train__epoch_size=1, train__warmup_epochs=0.0)
    project.run("python", "stages/train.py")
    project.set(train__lr_max=0.002)
    out = project.run("python", "stages/train.py").stdout
    assert "another recipe (train.lr_max)" in out and "training starts anew" in out
    assert list((project.folder / "models/checkpoints.old-1").glob("step-*.ckpt"))


def test_fewer_epochs_than_were_trained_are_refused(finished, tmp_path):
    project = copy_project(tmp_path / "project")
    for name in ("data/prepared", "models/checkpoints"):
        shutil.copytree(finished.folder / name, project.folder / name)
    project.set(train__epoch_size=1)
    done = project.run("python", "stages/train.py", check=False)
    assert (
        done.returncode == 2
        and "train.epoch_size: 1, but the run in models/checkpoints has finished epoch 2" in done.stderr
    )
    assert list((project.folder / "models/checkpoints").glob("step-*.ckpt"))


def test_two_processes_train_alike_and_a_dead_one_ends_the_job(finished, tmp_path):
    project = prepared(
        finished, tmp_path / "project", train__device_num=2, train__epoch_size=1, train__warmup_epochs=0.0
    )
    project.run("python", "stages/train.py")
    assert (project.folder / "models/effnet.ckpt").exists()
    process = start(project)  # finished: nothing left to do
    assert process.wait(120) == 0

    shutil.rmtree(project.folder / "models")
    project.set(train__save_checkpoint_steps=1, train__epoch_size=20)
    process = start(project)
    wait_for_checkpoints(project, process, 1)
    began = time.time()
    os.kill(workers_in(project.folder)[-1], signal.SIGKILL)
    out, _ = process.communicate(timeout=90)
    assert process.returncode != 0 and time.time() - began < 60 and "error: " in out, out
