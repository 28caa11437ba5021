"""Two processes: the same weights on both after every step, and the weights of one process that had the whole batch."""

import os
import subprocess

import numpy as np
import pytest

from effnet.devices import launch
from effnet.network import device
from effnet.network.ranks import ALONE
from tests.conftest import ROOT
from tests.network import two_ranks

device.start("CPU")


@pytest.mark.parametrize("mode", ["frozen", "sync"])
def test_two_processes_equal_one(tmp_path, mode):
    command = launch.command("tests.network.two_ranks", 2)
    command = [word if not word.startswith("--log_dir") else f"--log_dir={tmp_path}/logs" for word in command]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, tmp_path, mode], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, [path.read_text()[-2000:] for path in (tmp_path / "logs").glob("worker_*.log")]
    alone = two_ranks.train(ALONE, mode)
    for number, whole in enumerate(alone):
        first, second = (np.load(tmp_path / f"{rank}-{number}.npz") for rank in (0, 1))
        for name, array in whole.items():
            assert np.array_equal(first[name], second[name]), f"step {number}: {name} differs between the ranks"
            assert np.abs(first[name] - array).max() < 1e-4, f"step {number}: {name} differs from one process"
