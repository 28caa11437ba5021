"""bench.gpu goes through all of its parts without a card, so that it is in order on the day there is one."""

import importlib.util
import json
import subprocess
import sys

import psutil
import pytest

from bench import gpu, run
from tests import processes
from tests.conftest import ROOT


def bench(out, *arguments):
    command = [sys.executable, "-m", "bench.gpu", "--device", "CPU", "--tiny", "--out", str(out), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.strip().splitlines()[-1])
    assert json.loads((out / "result.json").read_text())["rows"] == printed["rows"]
    return printed


def test_ours(tmp_path):
    found = bench(tmp_path / "out", "--torch-python", "/bin/false")
    parts = {}
    for each in found["measured"]:
        parts.setdefault(each["part"], []).append(each)
    assert set(parts) == set(gpu.PARTS)
    for trained in parts["train_mindspore"]:
        assert trained["rates"][0] > 0 and 6 < trained["loss"] < 9  # of 1000 classes: ln 1000 = 6.9
    for answers in parts["infer_onnx"]:
        assert set(answers["nodes"]) == {"CPUExecutionProvider"} and answers["off"] == 0
        assert set(answers["rates"]) == {"1", "2"}
    assert parts["fed"][0]["rates"][0] > 0
    peers = [each for part in ("train_torch", "infer_torch") for each in parts[part]]
    assert len(peers) == 6 and all("failed" in each for each in peers)  # one that is not there is said to be so
    held = [row for row in found["rows"] if "held" in row]
    assert len(held) == 5 and all(row["held"] for row in held)  # logits with TF32 and without, three checks


def test_a_plan_out_of_time_says_what_it_did_not_reach(tmp_path):
    found = bench(tmp_path, "--minutes", "0")
    assert {each["failed"] for each in found["measured"]} == {"not reached in 0 minutes"}


def test_what_is_nothing_without_the_plugin_is_not_tried_where_it_does_not_start():
    stuck = [{"part": "start", "case": {}, "failed": "the driver is too old"}]
    assert gpu.hopeless("demo", stuck) == gpu.hopeless("train_mindspore", stuck) == "the driver is too old"
    assert gpu.hopeless("train_torch", stuck) == gpu.hopeless("demo", [{"part": "start", "seconds": 3}]) == ""


def test_a_result_of_another_machine_comes_onto_the_page(tmp_path):
    """By hand: 200 images a second over 100, and over none; logits 0.0002 off where 0.0001 are allowed."""
    case = {"tf32": False}
    found = [
        {"part": "infer_onnx", "case": case | {"provider": "CUDA"}, "rates": {"1": [200, 210, 190]}, "off": 2e-4,
         "limit": 1e-4, "nodes": {"CUDAExecutionProvider": 9}},
        {"part": "infer_torch", "case": case | {"compiled": False}, "rates": {"1": [100, 100, 100]}},
        {"part": "infer_torch", "case": case | {"compiled": True}, "failed": "no compiler"},
    ]  # fmt: skip
    asked = {"device": "GPU", "variant": "b2", "size": 260, "batches": [1], "batch": 128, "cores": 16}
    rows = gpu.rows(found, type("Asked", (), asked | {"parts": gpu.PARTS}))
    lines = run.table({"gpu": {"machine": "a card", "day": "2026-01-02", "versions": {}, "rows": rows}}).splitlines()
    mine = [line.split(" | ", 2)[2] for line in lines if "CUDA, TF32 off" in line]
    assert mine == [
        "the CPU's | **no** |  |  | 0.0002 of a logit off, limit 0.0001, 9 nodes by CUDAExecutionProvider |",
        "PyTorch | 2.00 | 1.90 - 2.10 | 1 | 200, 100 images/s |",
        "PyTorch, torch.compile | not run |  |  | no compiler |",
    ]


@pytest.mark.parametrize(
    "text, said",
    [(None, "no such file; bench/gpu.sh"), ("{", "damaged"), ('{"bench": "onnx"}', "damaged"), ("[]", "damaged")],
)
def test_a_result_that_is_none_is_refused(tmp_path, text, said):
    path = tmp_path / "result.json"
    if text:
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "bench.run", "--keep", str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and f"error: {path}: {said}" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.peers
@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_pytorch") is None,
    reason="needs efficientnet_pytorch; `make test-peers` installs it",
)
def test_with_the_peer(tmp_path):
    found = bench(tmp_path, "--parts", "infer_onnx", "infer_torch", "train_torch", "fed")
    assert found["ratio"] > 0 and not any("failed" in each for each in found["measured"])
    # 2 batches, TF32 or not, 2 peers, and what is fed; two of logits; of parts that were not asked for nothing
    assert ["ratio" in row for row in found["rows"]].count(True) == 9 and len(found["rows"]) == 11


def test_the_shell_script_is_sound():
    subprocess.run(["bash", "-n", "bench/gpu.sh"], cwd=ROOT, check=True)


def test_what_runs_too_long_leaves_what_it_had_found_and_nothing_alive(tmp_path):
    script = "import subprocess, time; print(subprocess.Popen(['sleep', '99']).pid, flush=True); time.sleep(99)"
    code, lines, _ = gpu.call([sys.executable, "-c", script], 3, tmp_path / "log")
    assert code is None
    # a killed process closes its files before it is dead: here it may be on its way
    processes.wait(lambda: not _runs(int(lines[0])), 30, "the end of what it started")


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_provider_that_is_not_there_is_said_to_be_so(tmp_path):
    args = {"device": "CPU", "batch": 4, "onnx": str(tmp_path / "model.onnx"), "pictures": None, "tiny": True}
    args, log = type("Asked", (), args | {"torch_python": sys.executable}), tmp_path / "a.log"
    assert gpu.process("export", {}, 60, log, args) == {}
    found = gpu.process("infer_onnx", {"provider": "CUDA", "tf32": False}, 60, log, args)
    assert found["failed"].startswith("onnx.provider: CUDA asked for, but this ONNX Runtime has only CPU")
    assert found["failed"].endswith(" (a.log)")
