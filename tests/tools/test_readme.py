"""What README.md shows is what its commands print: they run again, in a clone of the last commit."""

import subprocess

import pytest

from tests.conftest import ROOT
from tools import readme

# of the README of the model zoo's EfficientNet-B2, so that who comes from there finds his way
HEADINGS = """EfficientNet-B2 Description, Model Architecture, Dataset, Environment Requirements, Script Description,
Script and Sample Code, Script Parameters, Training Process, Startup, Result, Evaluation Process, ONNX Inference,
Exporting ONNX, ONNX Inference on the GPU, Inference on Ascend 310 Processor, Model Description, Training Performance,
Random Seed Description, ModelZoo"""


def test_each_heading_of_the_original_is_there():
    text = (ROOT / "README.md").read_text()
    assert not [heading for heading in " ".join(HEADINGS.split()).split(", ") if heading not in text]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    if (
        subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True).stdout
        != b"false\n"
    ):
        pytest.skip("this is no clone with all its history")
    return readme.cloned(ROOT, tmp_path_factory.mktemp("readme") / "effnet")


def test_its_commands_print_what_it_shows(clone):
    text = (clone / "README.md").read_text()
    for name in readme.COMMANDS:
        shown = text.split(f"<!-- output: {name} -->\n```console\n")[1].split("```\n<!-- end -->")[0]
        printed = readme.output(name, clone)
        assert sorted(shown.splitlines()) == sorted(printed.splitlines()), name  # DVC's order of files is no order
