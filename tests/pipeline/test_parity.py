"""The parity stage on a real run: every runtime answers alike, and it fails where one does not."""

import json
import os
import shutil
import subprocess
import sys
from itertools import combinations

import numpy as np


def test_the_smoke_run_answers_alike_everywhere(finished):
    found = json.loads((finished.folder / "metrics/parity.json").read_text())
    float32, quantized = ("mindspore", "onnx", "infer310"), ("onnx_float16", "onnx_int8")
    assert set(found) == {f"{a}-{b}" for a, b in combinations((*float32, *quantized), 2)}
    for a, b in combinations(float32, 2):
        assert found[f"{a}-{b}"]["equal_top1"] == 1 and found[f"{a}-{b}"]["largest_difference"] < 1e-3
    assert (finished.folder / "metrics/parity.svg").stat().st_size > 10_000


def test_repro_fails_with_one_sentence_when_a_runtime_answers_otherwise(finished, tmp_path):
    """The stage alone, on a copy of the run's logits of which one is moved."""
    for name in ("metrics", "params.yaml", "data/prepared"):
        source, target = finished.folder / name, tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target, symlinks=False) if source.is_dir() else shutil.copy(source, target)
    path = tmp_path / "metrics/infer310/logits.npy"
    moved = np.load(path)
    moved[7, 3] += 0.01
    path.unlink()
    np.save(path, moved)
    (tmp_path / "metrics/parity.json").unlink()
    env = os.environ | {"PYTHONPATH": str(finished.folder)}
    command = [sys.executable, "-m", "stages.parity"]
    failed = subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True)
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("error: parity: mindspore and infer310 differ by 0.01 in a logit of ")
    written = json.loads((tmp_path / "metrics/parity.json").read_text())  # all the same
    assert written["onnx-infer310"]["largest_difference"] > 0.009
