"""bench.gpu goes through all of its parts without a card, so that it is in order on the day there is one."""

import importlib.util
import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def bench(*arguments):
    command = [sys.executable, "-m", "bench.gpu", "--device", "CPU", "--tiny", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_ours(tmp_path):
    found = bench("--torch-python", "/bin/false")["measured"]
    assert found["train_mindspore"]["images_per_second"] > 0
    assert 6 < found["train_mindspore"]["loss"] < 9  # of 1000 classes: ln 1000 = 6.9
    onnx = found["infer_onnx_CPU"]
    assert onnx["images_per_second"] > 0 and set(onnx["nodes"]) == {"CPUExecutionProvider"}
    assert found["parity"]["passed"]
    for peer in ("train_torch", "infer_torch"):  # one that is not there is said to be so
        assert "failed" in found[peer]


@pytest.mark.peers
@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_pytorch") is None,
    reason="needs efficientnet_pytorch; `make test-peers` installs it",
)
def test_with_the_peer():
    result = bench()
    assert result["ratio"] > 0 and not any("failed" in part for part in result["measured"].values())


def test_the_shell_script_is_sound():
    subprocess.run(["bash", "-n", "bench/gpu.sh"], cwd=ROOT, check=True)
