"""Files appear whole or not at all, and nothing of those that did not stays for good."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile

import pytest

from effnet.files import aside, whole, write_json
from effnet.runtimes import infer310
from tests.conftest import ROOT, Project
from tests.pictures import jpeg

KILLED = "import os; from effnet.files import whole\nwith whole('a.json') as file: os.kill(os.getpid(), 9)"


def test_what_a_killed_process_left_aside_goes_with_the_next_write(tmp_path):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=env).returncode == -9
    (tmp_path / ".b.json.x.part").mkdir()  # of another file
    assert len(list(tmp_path.iterdir())) == 2
    write_json(tmp_path / "a.json", [1])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.json.x.part", "a.json"]


def test_what_a_living_process_writes_is_left_to_it(tmp_path):
    with aside(tmp_path / "a.json") as first:
        write_json(tmp_path / "a.json", [2])
        first.write_text("[1]")
    assert json.loads((tmp_path / "a.json").read_text()) == [1] and len(list(tmp_path.iterdir())) == 1


def test_an_error_without_a_file_names_the_one_that_was_to_be(tmp_path):
    with pytest.raises(OSError) as raised, whole(tmp_path / "a.json"):
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(tmp_path / "a.json") and not list(tmp_path.iterdir())


def test_a_full_disk_names_the_file_in_the_stages(finished, tmp_path):
    """No file may grow beyond a few kilobytes: writing fails as on a full disk."""
    for name in ("effnet", "stages", "infer310", "metrics", "params.yaml"):
        source, target = finished.folder / name, tmp_path / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    for name in ("models", "data", "build"):
        (tmp_path / name).symlink_to(finished.folder / name)
    project = Project(tmp_path)
    for limit, stage, says in (
        (8, "onnx_eval", "error: File too large: metrics/logits/onnx.npz"),
        (0, "infer310", "error: No usable temporary directory found in "),
    ):
        done = project.run("bash", "-c", f"ulimit -f {limit}; exec python -m stages.{stage}", check=False)
        assert done.returncode == 2 and says in done.stderr, done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: ") and "Traceback" not in done.stderr


def test_a_full_disk_where_the_c_program_s_pictures_are_written(tmp_path, monkeypatch):
    class One:
        def __len__(self):
            return 1

        def read(self, _):
            return jpeg(1, (400, 300))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            infer310.logits_of("effnet310", "effnet.mindir", "effnet.json", One())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert raised.value.filename.endswith("/pictures") and not list(tmp_path.iterdir())
