"""`python -m tools.build310`: the C++ tests for those who work on them."""

import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def run(*arguments):
    command = [sys.executable, "-m", "tools.build310", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_help_names_the_switches():
    done = run("--help")
    assert done.returncode == 0 and all(f"--{switch}" in done.stdout for switch in ("tests", "sanitize", "fuzz"))


@pytest.mark.skipif(not shutil.which("cmake"), reason="cmake is not installed")
def test_what_cannot_be_built_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("MS_LITE_HOME", str(tmp_path))
    done = run(tmp_path / "build")
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith(f"error: {tmp_path}/build: cmake cannot")
