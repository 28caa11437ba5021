"""The command line as a user runs it: `effnet info`, and what is no command."""

import os
import subprocess
import sys

import pytest

from effnet.cli.main import main
from tests.conftest import ROOT


def effnet(*arguments, cwd=None):
    """The program itself: (exit code, stdout, stderr)."""
    command = [sys.executable, "-m", "effnet", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_info(capsys):
    assert main(["info", "b2"]) == 0
    assert capsys.readouterr().out.endswith(
        "efficientnet_b2 at 260 x 260, 1000 classes: 9,109,994 parameters, 993,561,872 MACs\n"
    )
    assert main(["info", "efficientnet_lite0", "--image-size", "32", "--class-num", "10"]) == 0
    assert "at 32 x 32, 10 classes" in capsys.readouterr().out
    code, _, err = effnet("info", "b9")
    assert code == 2 and err.startswith("error: 'b9' is not a variant; choose one of efficientnet_b0")


LATE = "dvc dvclive google h5py matplotlib mindspore openvino safetensors scipy sklearn torch".split()
MODEL = "onnx onnxruntime pydantic yaml".split()  # what the model itself takes
STARTS = [  # what `effnet predict` has not imported by when: `--help` is shown, pictures can be read, a model is loaded
    ("main.main(['predict', '--help'])", [*LATE, *MODEL, "numpy", "PIL", "effnet.arch"]),
    ("from effnet.cli import predict", [*LATE, *MODEL]),
    ("from effnet.cli import predict; predict.preset(predict.load(sys.argv[1])[1], 32)", [*LATE, "onnx"]),
]


@pytest.mark.parametrize("code, late", STARTS)
def test_it_starts_without_what_it_does_not_need(code, late, models):
    code = f"import contextlib, sys\nfrom effnet.cli import main\nwith contextlib.suppress(SystemExit):\n    {code}\n"
    code += f"print([name for name in {late} if sys.modules.get(name)])"
    command = [sys.executable, "-c", code, models / "effnet.onnx"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [[], ["train"], ["info"], ["predict"]])
def test_what_is_no_command_shows_the_usage(arguments):
    code, out, err = effnet(*arguments)
    assert (code, out) == (2, "") and err.startswith("usage: effnet")
