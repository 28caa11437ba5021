"""Processes that train together: stopped by whomever the signal reaches, they end as a run that never stopped; and they
do not start unless all have the same.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from effnet.runs.run import newest
from tests import processes
from tests.conftest import copy_project

SYNCHRONISED = {
    "train__sync_bn": True, "train__save_checkpoint_steps": 4, "train__ema_decay": 0.99,
    "augment__color_jitter": [0.2, 0.2, 0.2], "augment__mixup": 0.2,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A project whose pictures are prepared, and nothing else."""
    project = copy_project(tmp_path_factory.mktemp("data") / "project")
    project.run("python", "-m", "stages.prepare")
    return project


def prepared(data, folder, **values):
    project = copy_project(folder)
    shutil.copytree(data.folder / "data/prepared", project.folder / "data/prepared")
    project.set(**values)
    return project


def start(project):
    env = os.environ | {"PYTHONPATH": str(project.folder), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, "-m", "stages.train"], cwd=project.folder, env=env, **pipes)


def updates(project):
    """Of the newest checkpoint."""
    return max((int(p.stem[5:]) for p in (project.folder / "models/checkpoints").glob("step-*.ckpt")), default=0)


def ranks(project):
    return processes.workers_in(project.folder, "stages.train")


def to_the_launcher(process, project):
    process.terminate()


def to_one_worker(process, project):
    os.kill(ranks(project)[1], signal.SIGTERM)


def to_all_workers(process, project):
    for rank in ranks(project):
        os.kill(rank, signal.SIGTERM)


def to_all_workers_and_rank_0_is_slow(process, project):
    first = ranks(project)[0]
    to_all_workers(process, project)
    os.kill(first, signal.SIGSTOP)  # it saves four seconds later than the other might
    time.sleep(4)
    os.kill(first, signal.SIGCONT)


def to_all_processes(process, project):
    """As Slurm does."""
    for each in processes.in_folder(project.folder):
        os.kill(each, signal.SIGTERM)


EVERY = (to_the_launcher, to_one_worker, to_all_workers, to_all_workers_and_rank_0_is_slow, to_all_processes)


@pytest.mark.parametrize(
    "number, ways",
    [
        (2, [to_one_worker]),  # where the ranks have to agree
        pytest.param(2, EVERY, marks=pytest.mark.soak),
        pytest.param(4, EVERY, marks=pytest.mark.soak),
    ],
)
def test_a_job_that_was_stopped_ends_as_one_that_never_was(data, tmp_path, number, ways):
    values = SYNCHRONISED | {"train__device_num": number}
    if len(ways) == 1:  # an epoch has room for one stop
        values |= {"train__epoch_size": 1, "train__warmup_epochs": 0.0}
    whole, broken = (prepared(data, tmp_path / name, **values) for name in ("whole", "broken"))
    whole.run("python", "-m", "stages.train")
    for send in ways:
        before, process = updates(broken), start(broken)
        processes.wait(lambda: updates(broken) > before or process.poll() is not None, 300, "a checkpoint")  # noqa: B023
        send(process, broken)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 75 and "the state is saved, run again to go on" in out, (send.__name__, out)
        assert "resumed at epoch" in out or not before, out
        processes.wait(lambda: not processes.in_folder(broken.folder), 20, "the end of all processes")
        assert not list((broken.folder / "models").rglob("*.part"))
    assert "resumed at epoch" in broken.run("python", "-m", "stages.train").stderr
    for name in ("models/effnet.ckpt", "models/checkpoints/best.ckpt"):
        assert (broken.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert newest(broken.folder / "models/checkpoints")[1]["place"]["updates"] == updates(whole)


def test_ranks_that_do_not_have_the_same_do_not_start(data, tmp_path):
    """Rank 1 reads another recipe: it runs in another folder, as on another machine."""
    project = prepared(data, tmp_path / "project", train__device_num=2)
    other = prepared(data, tmp_path / "other", train__device_num=2, train__lr_max=0.002)
    assert refused(project, other) == (
        "does not have what the other ranks have (train.lr_max 0.003); "
        "put the same commit, recipe and prepared data on every machine"
    )


def test_a_folder_that_only_one_rank_sees_is_named(data, tmp_path):
    project, other = (prepared(data, tmp_path / name, train__device_num=2) for name in ("project", "other"))
    said = refused(project, other)
    assert said.startswith("has none, rank 0 on ") and "a file system that all machines see" in said


def refused(project, other):
    """What is said where rank 1 of a job works in `other`: all exit with 2 and one sentence."""
    (project.folder / "sitecustomize.py").write_text(
        f"import os\nif os.environ.get('MS_ROLE') == 'MS_WORKER' and os.environ.get('RANK_ID') == '1':\n"
        f"    os.chdir({str(other.folder)!r})\n"
    )
    done = project.run("python", "-m", "stages.train", check=False)
    assert done.returncode == 2 and done.stderr.count("error: ") == 1, done.stderr
    for rank in (0, 1):
        log = (project.folder / f"tmp/msrun/worker_{rank}.log").read_text()
        assert log.count("error: ") == 1 and "Traceback" not in log
    assert not (project.folder / "models/effnet.ckpt").exists()
    line = done.stderr[done.stderr.index("error: ") :].strip()
    return line[line.index("rank 1 on ") :].split(" ", 4)[4]


def test_a_full_disk_on_rank_0_ends_all_of_them(data, tmp_path):
    """No file may grow beyond a megabyte, a checkpoint has two: writing fails as on a full disk."""
    project = prepared(data, tmp_path / "project", train__device_num=2, train__save_checkpoint_steps=2)
    done = project.run("bash", "-c", "ulimit -f 1024; exec python -m stages.train", check=False)
    assert done.returncode == 2, done.stderr
    logs = [(project.folder / f"tmp/msrun/worker_{rank}.log").read_text() for rank in (0, 1)]
    assert "error: models/checkpoints/step-00000002.ckpt: could not be written" in logs[0]
    assert "error: rank 0 could not write; what went wrong stands in its own line" in logs[1]
    assert not list((project.folder / "models").rglob("*.ckpt"))
    assert not processes.in_folder(project.folder)
