"""The same recipe gives the same bytes: in a folder of another name, on another number of processors, by a model that
came from a remote.

Two, three and eight processors are compared. On a single one MindSpore's oneDNN convolves in another order and the last
digits are others, whatever train.threads says: that is known, and nothing is asserted about it.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, Project

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
COUNT = "import os; print(os.cpu_count(), len(os.sched_getaffinity(0)))"


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """f(number of processors) -> the environment in which programs find so many."""
    compiler = next(filter(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang")), None)
    if not compiler:
        pytest.skip("no C compiler is installed: other numbers of processors cannot be simulated")
    library = tmp_path_factory.mktemp("cpus") / "cpus.so"
    source = Path(__file__).with_name("cpus.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    return lambda number: {"LD_PRELOAD": str(library), "CPUS": str(number)}


def recorded(project):
    """{output: its md5} of every stage, as dvc.lock has it."""
    stages = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


def changed(project):
    return project.run("git", "status", "--porcelain", "--untracked-files=all").stdout.splitlines()


MADE = ["models/effnet.ckpt", "models/effnet.onnx", "models/effnet.mindir", "models/infer310/effnet.mindir"]
MADE += ["metrics/evaluate/per_image.csv", "metrics/onnx/int8.json", "metrics/provenance/train.json", "dvc.lock"]


# what was committed ran on this machine; of the others one in `make test`
NUMBERS = sorted({2, 3, 8} - {os.cpu_count()})


@pytest.mark.parametrize("number", [*(pytest.param(n, marks=pytest.mark.soak) for n in NUMBERS[:-1]), NUMBERS[-1]])
def test_a_clone_on_another_machine_makes_every_byte_again(committed, machine, number, tmp_path):
    """All of it, by `make reproduce` from the raw data: no lock that says what it was, no cache."""
    env = machine(number) | {"PYTHONHASHSEED": str(number), "OMP_NUM_THREADS": str(number)}
    clone = Project(tmp_path / f"a folder of another name, {number}")
    assert committed.run("python", "-c", COUNT, env=env).stdout.split() == [str(number)] * 2
    out = committed.run("python", "-m", "tools.reproduce", "--keep", clone.folder, env=env).stdout
    assert set(clone.ran(out)) == set(STAGES) - {"source"}
    for name in ("train", "evaluate", "onnx/float32", "onnx/int8", "infer310", "parity"):
        assert f"metrics/{name}.json: equal" in out
    was = recorded(committed)
    assert len(was) > len(STAGES) and recorded(clone) == was
    for name in MADE:
        assert (clone.folder / name).read_bytes() == (committed.folder / name).read_bytes(), name
    assert changed(clone) == changed(committed) == []
    assert [path.name for path in (clone.folder / "build/infer310").iterdir()] == ["effnet310"]  # compiled before


def test_a_model_that_came_alone_is_taken_up(committed, tmp_path):
    """A colleague has the model and the data, no checkpoints, and edits what decides no byte: nothing is trained."""
    clone = committed.clone(tmp_path / "colleague")
    clone.run("dvc", "remote", "add", "--local", "--default", "first", committed.folder / ".dvc/cache")
    clone.run("dvc", "pull", "models/effnet.ckpt", "data/prepared")
    assert [path.name for path in (clone.folder / "models").iterdir()] == ["effnet.ckpt"]
    path = clone.folder / "effnet/training/loop.py"
    title = "The training loop, to be read top to bottom."
    assert path.read_text().count(title) == 1
    path.write_text(path.read_text().replace(title, "The training loop."))

    out = clone.run("dvc", "repro", "evaluate").stdout
    assert {"train", "evaluate"} <= set(clone.ran(out)) <= {"pretrained", "train", "evaluate"}
    assert "models/effnet.ckpt is the finished model" in out and "nothing is trained" in out and "epoch 1:" not in out
    assert recorded(clone) == recorded(committed)
    assert changed(clone) == [" M dvc.lock", " M effnet/training/loop.py"]
    assert not list(clone.folder.glob("models/checkpoints/step-*"))


def test_a_model_that_came_alone_gives_way_to_another_recipe(committed, tmp_path):
    clone = committed.clone(tmp_path / "colleague")
    clone.run("dvc", "remote", "add", "--local", "--default", "first", committed.folder / ".dvc/cache")
    clone.run("dvc", "pull", "models/effnet.ckpt", "data/prepared")
    before = (clone.folder / "models/effnet.ckpt").read_bytes()
    clone.set(train__epoch_size=1, train__warmup_epochs=0.0)
    out = clone.run("dvc", "repro", "train").stdout
    assert "epoch 1:" in out and "taken up" not in out
    assert (clone.folder / "models/effnet.ckpt").read_bytes() != before
