"""Evaluation in float16 as a recipe asks for it, and the C++ program left out: the whole pipeline, to report and plots.

A CPU computes O2's products in float16 too, so that its answers are off float32's as those of a device are.
"""

import csv
import json

import numpy as np
import pytest

from effnet.comparison import parity
from tests.conftest import copied


@pytest.fixture(scope="module")
def rounded(finished, tmp_path_factory):
    project = copied(finished, tmp_path_factory.mktemp("rounded") / "project")
    project.set(evaluate__amp_level="O2", onnx__infer310=False)
    project.out = project.run("dvc", "repro").stdout
    return project


def read(project, name):
    return json.loads((project.folder / f"metrics/{name}.json").read_text())


def test_the_model_stays_and_the_precision_is_recorded(rounded):
    assert "train" not in rounded.ran(rounded.out)
    found = {stage: read(rounded, f"provenance/{stage}")["device"]["precision"] for stage in ("evaluate", "onnx_eval")}
    assert found == {"evaluate": "float16", "onnx_eval": "float32"}
    assert read(rounded, "provenance/train")["device"]["precision"] == "float32"


def test_float16_is_off_by_what_it_rounds(finished, rounded):
    off = {name: parity.off(kept(rounded, name), kept(finished, name)) for name in ("mindspore", "onnx")}
    assert off["onnx"] == 0 and 1e-5 < off["mindspore"] < parity.LIMITS["float16"]


def kept(project, name):
    with np.load(project.folder / f"metrics/logits/{name}.npz") as found:
        return found["logits"]


@pytest.mark.parametrize("tool", ("summary", "models", "report"))
def test_a_runtime_left_out_is_in_no_table(rounded, tool):
    said = rounded.run("python", "-m", f"tools.{tool}").stdout
    if tool == "report":
        said = (rounded.folder / "reports/report.html").read_text()
    assert "C++" not in said
    assert tool == "models" or "ONNX Runtime" in said


def test_pairs_and_plots_are_without_it(rounded):
    assert read(rounded, "infer310") == {"images": 0}
    with open(rounded.folder / "metrics/parity/pairs.csv", newline="") as file:
        assert not [row for row in csv.DictReader(file) if "infer310" in row["pair"]]
    said = rounded.run("dvc", "plots", "show", "-o", "reports/plots")
    found = "Logits against MindSpore" in (rounded.folder / "reports/plots/index.html").read_text()
    assert found and "infer310" not in said.stderr


def test_evaluation_by_command_says_the_precision(rounded):
    rounded.run("python", "-m", "tools.evaluate", "--runtimes", "mindspore onnx")
    found = json.loads((rounded.folder / "reports/eval/effnet-prepared.json").read_text())["runtimes"]
    assert {name: entry["precision"] for name, entry in found.items()} == {"mindspore": "float16", "onnx": "float32"}
    assert found["mindspore"]["top1"] == read(rounded, "evaluate")["top1"]
