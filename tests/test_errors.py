"""How programs end: what they say, and with which exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from effnet import errors
from tests.conftest import ROOT
from tests.processes import wait


@pytest.mark.parametrize("seconds, said", [(0.1, ""), (2.2, "2 s, peak memory ")])
def test_only_what_was_long_says_what_it_took(monkeypatch, capsys, seconds, said):
    now = iter([0.0, seconds])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    with pytest.raises(SystemExit) as ended:
        errors.run(lambda: 0)
    err = capsys.readouterr().err
    assert ended.value.code == 0 and said in err and bool(err) == bool(said)


@pytest.mark.parametrize("error, code, said", [
    (errors.InputError("what, where, what to do"), 2, "error: what, where, what to do\n"),
    (OSError(28, "No space left on device", "a/file"), 2, "error: No space left on device: a/file\n"),
    (KeyboardInterrupt(), 130, "interrupted\n"),
])  # fmt: skip
def test_what_fails_is_one_line(capsys, error, code, said):
    def fail():
        raise error

    with pytest.raises(SystemExit) as ended:
        errors.run(fail)
    assert ended.value.code == code and capsys.readouterr().err == said


LATE = "from effnet import errors; errors.run(lambda: __import__('effnet.trained'))"


@pytest.mark.parametrize("arguments", [["-m", "stages.pretrained"], ["-m", "tools.air"], ["-c", LATE]])
def test_ctrl_c_while_mindspore_loads_is_one_line(arguments, tmp_path):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, *arguments], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    wait(lambda: "libmindspore" in maps.read_text() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("interrupted\n", 130)
