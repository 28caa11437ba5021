"""effnet/native/build.py: compiled once, again for whatever decides the library, one sentence where it cannot be."""

import ctypes
import os
import subprocess
import sys

import pytest

from effnet.errors import InputError
from effnet.native import build
from tests.conftest import ROOT

ANSWER = '__attribute__((visibility("default"))) int answer(void) { return %d; }\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of C sources, and a cache of the test's own."""
    monkeypatch.setattr(build, "CACHE", tmp_path / "cache")
    (tmp_path / "part").mkdir()
    (tmp_path / "part/answer.c").write_text(ANSWER % 42)
    return tmp_path / "part"


def answer(library):
    return ctypes.CDLL(str(library)).answer()


def test_a_library_is_compiled_once_and_serves_every_copy_of_its_sources(folder, monkeypatch):
    library = build.shared_library(folder)
    assert answer(library) == 42 and library.parent == build.CACHE and library.stat().st_mode & 0o777 == 0o644
    other = folder.parent / "elsewhere/part"
    other.mkdir(parents=True)
    (other / "answer.c").write_text(ANSWER % 42)
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    assert build.shared_library(folder) == build.shared_library(other) == library
    assert not [path for path in folder.parent.rglob("*.so") if path.parent != build.CACHE]


def test_whatever_decides_the_library_is_in_its_name(folder, monkeypatch):
    found = [build.shared_library(folder)]
    (folder / "answer.c").write_text(ANSWER % 43)
    found.append(build.shared_library(folder))
    assert answer(found[1]) == 43
    (folder / "answer.h").write_text("/* a header that decides */\n")
    found.append(build.shared_library(folder))
    found.append(build.shared_library(folder, ("-lm", "-ljpeg")))
    monkeypatch.setattr(build, "FLAGS", [*build.FLAGS, "-g"])
    found.append(build.shared_library(folder))
    monkeypatch.setenv("CC", "cc -DOTHER")
    found.append(build.shared_library(folder))
    assert len(set(found)) == len(found) and all(path.is_file() for path in found)


def test_processes_at_the_same_time_leave_one_whole_library(folder, tmp_path):
    code = "import sys; from effnet.native import build; print(build.shared_library(sys.argv[1]))"
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen([sys.executable, "-c", code, folder], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    (library,) = {process.communicate(timeout=60)[0].strip() for process in running}
    assert answer(library) == 42
    assert [path.name for path in (tmp_path / "home/effnet").iterdir()] == [os.path.basename(library)]


def test_no_compiler_is_one_sentence(folder, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(InputError, match="part: cannot compile it .*no-such-compiler.*install gcc and libjpeg-dev"):
        build.shared_library(folder)
    monkeypatch.setenv("CC", "cc -include no/such/header.h")
    with pytest.raises(InputError, match="no/such/header.h"):
        build.shared_library(folder)
    assert not list(build.CACHE.iterdir())
