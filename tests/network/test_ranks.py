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


def run(tmp_path, mode):
    command = launch.command("tests.network.two_ranks", 2)
    command = [word if not word.startswith("--log_dir") else f"--log_dir={tmp_path}/logs" for word in command]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, tmp_path, mode], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, [path.read_text()[-2000:] for path in (tmp_path / "logs").glob("worker_*.log")]


@pytest.mark.parametrize("mode", [pytest.param("frozen", marks=pytest.mark.soak), "sync"])
def test_two_processes_equal_one(tmp_path, mode):
    run(tmp_path, mode)
    alone = two_ranks.train(ALONE, mode)
    for number, whole in enumerate(alone):
        first, second = (np.load(tmp_path / f"{rank}-{number}.npz") for rank in (0, 1))
        for name, array in whole.items():
            assert np.array_equal(first[name], second[name]), f"step {number}: {name} differs between the ranks"
            assert np.abs(first[name] - array).max() < 1e-4, f"step {number}: {name} differs from one process"


def test_statistics_over_devices_do_not_overflow_in_float16(tmp_path):
    run(tmp_path, "wide")
    x = two_ranks.wide().astype(np.float64)
    mean, variance = (f(x, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.var))
    pictures = np.concatenate([np.load(tmp_path / f"{rank}-wide.npz")["pictures"] for rank in (0, 1)])
    assert np.abs(pictures - (x - mean) / np.sqrt(variance + 1e-3)).max() < 5e-3
    count = x[:, 0].size
    for rank in (0, 1):
        running = np.load(tmp_path / f"{rank}-wide.npz")["variance"]
        assert np.abs(running / (0.99 + 0.01 * variance.ravel() * count / (count - 1)) - 1).max() < 1e-5


def test_weights_that_drift_apart_are_found(tmp_path):
    run(tmp_path, "drift")
    first, second = ((tmp_path / f"{rank}.txt").read_text() for rank in (0, 1))
    assert first == second and first.startswith("rank 1 has other weights than the other ranks")
