"""Shared by all tests: where the real pictures are (if anywhere), recipes, and a throw-away copy of the project to
run DVC in.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import effnet.network  # noqa: F401 - sets MindSpore's environment, so before any test imports MindSpore
from effnet.errors import InputError
from effnet.runtimes import infer310

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("EFFNET_SHARED", ROOT.parent / "shared" / "data"))
RESULTS = ("dvc.lock", "metrics/", "data/source.json", ".dvc/shipped/")  # of the run that is committed


LONGEST = ("pipeline/test_ranks.py", "test_docs.py", "tools/test_workflow.py", "pipeline/test_resume.py")


def pytest_collection_modifyitems(items):
    """The files that take longest first, so that no worker is left with one of them when the others are through."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))


class Project:
    """A copy of the project, as it stands in the working tree, in a git repository of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def run(self, *command, check=True, **options):
        env = os.environ | {
            "PYTHONPATH": str(self.folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
        }
        done = subprocess.run(
            [str(c) for c in command],
            cwd=self.folder,
            env=env | options.pop("env", {}),
            text=True,
            capture_output=True,
            **options,
        )
        assert not check or done.returncode == 0, (
            f"{command}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done

    def set(self, **values):
        """Edit params.yaml: set(train__lr_max=0.1)."""
        path = self.folder / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        for key, value in values.items():
            section, name = key.split("__")
            tree[section][name] = value
        path.write_text(yaml.safe_dump(tree, sort_keys=False))

    def commit(self, message):
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", message)
        return self

    def clone(self, folder, *options):
        self.run("git", "clone", "-q", *options, self.folder.as_uri(), folder)
        for key, value in (("user.name", "t"), ("user.email", "t@t")):  # an experiment of edited files is a commit
            self.run("git", "-C", folder, "config", key, value)
        return Project(folder)

    def ran(self, output):
        """Names of the stages that a `dvc repro` really ran, but for `source`, which looks at the data each time."""
        names = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
        return [name for name in names if name != "source"]


def copy_project(folder, recipe="smoke"):
    """What git tracks, as it stands in the working tree, with `recipe` in force and no results of an earlier run."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(RESULTS):
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    project = Project(folder)
    shutil.copy(ROOT / "recipes" / f"{recipe}.yaml", project.folder / "params.yaml")
    project.run("git", "init", "-q", "-b", "main")
    return project.commit("start")


@pytest.fixture
def project(tmp_path):
    """A fresh copy with the smoke recipe in force; nothing has run in it."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A copy in which the smoke pipeline has run once from scratch. Tests must leave it as they found it; `.start` is
    the commit it ran on, `.first` DVC's output.

    The processes that run the tests share one run, and have a copy each.
    """
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    first = common / "finished/first"
    with open(common / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process runs it, the others wait
        if not first.exists():
            shutil.rmtree(common / "finished", ignore_errors=True)  # of a process that failed in it
            out = copy_project(common / "finished/project").run("dvc", "repro").stdout
            first.write_text(out)
    project = copied(Project(common / "finished/project"), tmp_path_factory.mktemp("finished") / "project")
    project.start = project.run("git", "rev-parse", "HEAD").stdout.strip()
    project.first = first.read_text()
    return project


def copied(project, folder):
    shutil.copytree(project.folder, folder, symlinks=True)
    return Project(folder)


def _built(name, skip_without_lite=True, **options):
    """A build folder that stays between runs of the tests: cmake remakes only what changed.

    Skips where something is missing.
    """
    headers = ("jpeglib.h", "nlohmann/json.hpp", "doctest/doctest.h")
    missing = [tool for tool in ("cmake", "c++") if not shutil.which(tool)]
    missing += [
        header
        for header in headers
        if not any(Path(root, header).exists() for root in ("/usr/include", "/usr/local/include"))
    ]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; `make setup` names the packages")
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/tests.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes run the tests: the others wait, then find it built
        try:
            lite = infer310.mindspore_lite()
        except InputError as problem:
            lite = None
            if skip_without_lite:
                pytest.skip(str(problem))
        return infer310.build(ROOT / "build" / name, lite, tests=True, **options)


@pytest.fixture(scope="session")
def effnet310():
    """Folder with effnet310 and its test programs, compiled as users have them."""
    return _built("test-infer310")


@pytest.fixture(scope="session")
def effnet310_sanitized():
    """The same under AddressSanitizer and UndefinedBehaviorSanitizer; where MindSpore Lite is not to be had, the
    test programs alone.
    """
    return _built("test-infer310-sanitized", skip_without_lite=False, sanitize=True)


@pytest.fixture(scope="session")
def shared():
    """The folder of real pictures, or a skip."""
    if not SHARED.is_dir():
        pytest.skip(f"no pictures at {SHARED}")
    return SHARED


@pytest.fixture
def committed(finished, tmp_path):
    """A copy of `finished` of the test's own, with the run's results committed."""
    return copied(finished, tmp_path / "a").commit("run")
