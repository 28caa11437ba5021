"""`python -m tools.launch`: how a training is started, and what cannot be."""

import os
import subprocess
import sys

import pytest

from effnet.devices import machine
from tests.conftest import ROOT


def launch(*arguments):
    command = [sys.executable, "-m", "tools.launch", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def test_a_dry_run_shows_the_command_without_the_device():
    options = ["--nodes", "2", "--node-rank", "1", "--master", "10.0.0.1"]
    done = launch("--dry-run", "recipes/ascend8.yaml", *options)
    words = ["msrun", "--worker_num=8", "--local_worker_num=4", "--node_rank=1", "--master_addr=10.0.0.1"]
    assert done.returncode == 0 and all(word in done.stdout for word in [*words, "python -m stages.train"])
    done = launch("--dry-run", "recipes/smoke.yaml")  # one device needs no launcher
    assert done.stdout == "python -m stages.train\n"


@pytest.mark.parametrize(
    "options, words",
    [
        (["--nodes", "3"], "8 devices cannot be shared out over 3 machines"),
        (["--nodes", "2"], "--master: with several machines, name the address of machine 0"),
        (["--nodes", "2", "--node-rank", "2", "--master", "10.0.0.1"], "--node-rank: 2 for 2 machines"),
    ],
)
def test_what_cannot_be_launched_is_one_sentence(options, words):
    done = launch("--dry-run", "recipes/ascend8.yaml", *options)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and words in done.stderr
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_one_device_trains_in_this_very_process(project):
    done = project.run(
        "python", "-m", "tools.launch", check=False
    )  # as stages.train says it, where nothing is prepared
    assert done.returncode == 2 and "index.json: no prepared pictures here" in done.stderr


@pytest.mark.skipif(not machine.missing("Ascend"), reason="an Ascend device is here")
def test_a_device_that_is_not_here_is_refused_at_once(project):
    project.set(train__device_target="Ascend")
    done = project.run("python", "-m", "tools.launch", check=False)
    assert done.returncode == 2 and "no Ascend device" in done.stderr and done.stderr.count("\n") == 1
