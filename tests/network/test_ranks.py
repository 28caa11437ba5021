"""Two processes: the same weights on both after every step, and the weights of one process that had the whole batch."""

import os
import subprocess
import sys

import numpy as np
import pytest

from effnet.devices import launch
from tests import two_ranks
from tests.conftest import ROOT

device.start("CPU")


@pytest.mark.parametrize("mode", ["frozen", "sync"])
def test_two_processes_equal_one(tmp_path, mode):
    command = launch.command("tests/two_ranks.py", 2)
    command = [word if not word.startswith("--log_dir") else f"--log_dir={tmp_path}/logs" for word in command] + [
        str(tmp_path),
        mode,
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, [path.read_text()[-2000:] for path in (tmp_path / "logs").glob("worker_*.log")]
    alone = two_ranks.train(0, 1, mode)
    for number, whole in enumerate(alone):
        first, second = (np.load(tmp_path / f"{rank}-{number}.npz") for rank in (0, 1))
        for name, array in whole.items():
            assert np.array_equal(first[name], second[name]), f"step {number}: {name} differs between the ranks"
            assert np.abs(first[name] - array).max() < 1e-4, f"step {number}: {name} differs from one process"


def test_what_cannot_be_launched_is_said():
    from effnet.errors import InputError

    for arguments, words in (
        ({"devices": 8, "nodes": 3}, "cannot be shared out"),
        ({"devices": 8, "nodes": 2, "node_rank": 2, "master": "10.0.0.1"}, "count from 0"),
        ({"devices": 8, "nodes": 2}, "name the address of machine 0"),
    ):
        with pytest.raises(InputError, match=words):
            launch.command("stages/train.py", **arguments)


def test_a_port_in_use_is_said():
    import socket

    from effnet.errors import InputError

    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(InputError, match="is in use"):
            launch.command("stages/train.py", 2, port=taken.getsockname()[1])


def test_dry_run_shows_the_command_without_the_device():
    options = ["--nodes", "2", "--node-rank", "1", "--master", "10.0.0.1"]
    run = [sys.executable, "stages/train.py", "--dry-run", "recipes/ascend8.yaml", *options]
    done = subprocess.run(
        run, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    for words in (
        "msrun",
        "--worker_num=8",
        "--local_worker_num=4",
        "--node_rank=1",
        "--master_addr=10.0.0.1",
        "stages/train.py",
    ):
        assert words in done.stdout
