"""Each bench goes through all of its parts with next to nothing to do, whatever else runs."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.pictures import jpeg

ROWS = {"prepare": 5, "feed": 6}
# without the rows of OpenVINO
WITH_PEERS = {"formats": 10, "loader": 7, "onnx": 2, "onnx_export": 1, "end_to_end": 8, "train_step": 10}


def tiny(name, folder):
    (folder / "one.jpg").write_bytes(jpeg(1, (400, 300)))
    given = [folder] if name in ("feed", "formats", "loader", "onnx", "end_to_end") else []
    command = [sys.executable, "-m", f"bench.{name}", *map(str, given), "--tiny"]
    env = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}  # tests/conftest.py's
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["bench"] == name and found["load"]["during"]["others"] and all(found["versions"].values())
    measured = [row for row in found["rows"] if "not_run" not in row]  # this says what the processor lacks
    for row in measured:
        assert row["ratio"] == pytest.approx(row["ours"] / row["theirs"], rel=0.01, abs=5e-4), row  # of three decimals
        assert row["ratio"] > 0 or name == "prepare", row  # what one more picture takes is noise where there are few
    assert found["ratio"] == min(row["ratio"] for row in measured)
    return found["rows"]


@pytest.mark.parametrize("name", ROWS)
def test_ours(name, tmp_path):
    assert len(tiny(name, tmp_path)) == ROWS[name]


@pytest.mark.peers
@pytest.mark.skipif(importlib.util.find_spec("array_record") is None, reason="`make test-peers` installs the peers")
@pytest.mark.parametrize("name", WITH_PEERS)
def test_beside_peers(name, tmp_path):
    assert len(tiny(name, tmp_path)) >= WITH_PEERS[name]


def test_where_the_time_goes(tmp_path):
    (tmp_path / "one.jpg").write_bytes(jpeg(1, (400, 300)))
    command = [sys.executable, "-m", "bench.layers", tmp_path, "--tiny", "--runs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    head, _, *rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    assert head == ["ms a batch", "float32, batch 1", "int8, batch 1"] and rows[-1][0] == "all"
    found = {name: [float(value) for value in values] for name, *values in rows}
    assert found["Conv"][0] > found["Conv"][1] and found["QLinearConv"][0] == 0 < found["QLinearConv"][1]
    for side in (0, 1):
        assert found["all"][side] == pytest.approx(sum(of[side] for of in found.values()) / 2, abs=0.06)
