"""The wheel, installed where no checkout is: it holds all that the package reads, compiles and runs, with MindSpore and
without.
"""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tomlkit
import yaml

import effnet
from tests.conftest import ROOT
from tests.pictures import jpeg

PROJECT = tomlkit.parse((ROOT / "pyproject.toml").read_text()).unwrap()["project"]
NO_MINDSPORE = "mindspore is not installed in this environment; `make setup` installs it"
NEED_MINDSPORE = ("effnet.evaluation", "effnet.mindir", "effnet.network", "effnet.trained", "effnet.training")
NEED_MINDSPORE += ("effnet.runs.agreement", "effnet.runs.run", "effnet.runs.stopping")

TRAIN = """
import sys

from effnet import recipe
from effnet.evaluation.evaluator import Evaluator
from effnet.network import device
from effnet.results import metrics
from effnet.runs import identity
from effnet.runs.run import Run
from effnet.shards.dataset import Dataset
from effnet.sources.build import build_shards
from effnet.training.loop import train

params = recipe.load(sys.argv[1])
device.start(params.train.device_target, params.train.threads)
build_shards(params.data, "prepared", params.model.class_num)
train_set, val_set = Dataset("prepared", "train"), Dataset("prepared", "val")
meta = identity.of_model(params, train_set)
evaluator = Evaluator(meta, params.validation)


def validate(weights):
    return metrics.summarize(metrics.results(evaluator(weights, val_set), val_set.labels))


run = Run("checkpoints", identity.of_run(params, train_set), model="effnet.ckpt", record="run.json")
weights, place = train(params, train_set, run, validate)
run.finish(weights, meta, place)
"""

IMPORT_ALL = """
import importlib
import json
import pkgutil

import effnet
from effnet.errors import InputError

refused = {}
for module in pkgutil.walk_packages(effnet.__path__, "effnet.", onerror=lambda name: None):
    if module.name != "effnet.__main__":
        try:
            importlib.import_module(module.name)
        except InputError as error:
            refused[module.name] = str(error)
print(json.dumps(refused))
"""


def tracked(*folders):
    done = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, text=True, capture_output=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


class Environment:
    """A virtual environment with the wheel and this environment's packages, but for those whose names begin with
    `without`; nothing of the checkout.
    """

    def __init__(self, folder, wheel, without=()):
        self.folder, self.python = folder, folder / "bin/python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        packages = folder / "packages"
        packages.mkdir()
        for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
            if not path.name.startswith(("effnet", "__editable__", *without)):
                (packages / path.name).symlink_to(path)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "packages.pth").write_text(f"{packages}\n")
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "-q", "--no-index", "--no-deps", wheel]
        subprocess.run(pip, check=True)

    def run(self, cwd, *command, check=True):
        """In an environment of its own, where the C sources are compiled anew and MindSpore's settings not yet made."""
        env = {name: os.environ[name] for name in ("CC", "HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
        env["XDG_CACHE_HOME"] = str(self.folder / "cache")
        command = [str(self.folder / "bin" / command[0]), *map(str, command[1:])]
        done = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of what git tracks."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-w", built]
    subprocess.run([*pip, source], check=True)
    (path,) = built.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("installed"), wheel)


@pytest.fixture(scope="module")
def without_mindspore(wheel, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("without"), wheel, without=("mindspore", "openvino"))


def test_it_holds_the_package_and_the_cpp_project(wheel):
    wanted = set(tracked("effnet"))
    wanted |= {f"effnet/{name}" for name in tracked("infer310") if Path(name).parts[1] not in ("test", ".clang-format")}
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
    assert held == wanted


def test_one_version(wheel):
    assert wheel.name == f"effnet-{effnet.__version__}-py3-none-any.whl"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == effnet.__version__


def test_dependencies_are_what_is_imported():
    """dvc_data comes with dvc, which says which one it takes; two stand in requirements-publish.txt."""
    imported, known = set(), importlib.metadata.packages_distributions()
    for name in tracked("effnet/*.py", "stages/*.py", "tools/*.py"):
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    foreign = imported - sys.stdlib_module_names - {"effnet", "stages", "tests", "tools", "dvc_data"}
    foreign -= {"mlcroissant", "model_signing"}
    packages = {known[module][0].lower().removesuffix("-gpu") for module in foreign}
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["openvino"]
    assert packages == {re.match(r"[\w-]+", line)[0] for line in wanted}


def test_info(installed, tmp_path):
    out = installed.run(tmp_path, "effnet", "info", "b2").stdout
    assert out.splitlines()[-1].startswith("efficientnet_b2 at 260 x 260, 1000 classes: 9,109,994 parameters")


def test_predict(installed, finished, tmp_path):
    """The same from the checkpoint, which the C operators compute, and from the ONNX file."""
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    found = []
    for name in ("effnet.onnx", "effnet.ckpt"):
        model = finished.folder / "models" / name
        out = installed.run(tmp_path, "effnet", "predict", "--json", "--model", model, "a.jpg").stdout
        found.append(json.loads(out)["predictions"])
    onnx, mindspore = ([guess["class_id"] for guess in guesses] for guesses in found)
    assert onnx == mindspore and len(onnx) == 5
    np.testing.assert_allclose(*([guess["probability"] for guess in guesses] for guesses in found), atol=1e-5)


def test_training_gives_the_pipelines_model(installed, finished, tmp_path):
    installed.run(tmp_path, "python", "-c", TRAIN, ROOT / "recipes/smoke.yaml")
    assert (tmp_path / "effnet.ckpt").read_bytes() == (finished.folder / "models/effnet.ckpt").read_bytes()


def test_effnet310_compiles(without_mindspore, tmp_path):
    missing = [tool for tool in ("cmake", "c++") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; `make setup` names the packages")
    code = "from effnet.runtimes import infer310; print(infer310.SOURCES); infer310.build('build')"
    sources = without_mindspore.run(tmp_path, "python", "-c", code).stdout.strip()
    assert Path(sources).is_relative_to(without_mindspore.folder)
    assert (tmp_path / "build/libcore.a").is_file()


def test_without_mindspore_the_rest_imports(without_mindspore, tmp_path):
    refused = json.loads(without_mindspore.run(tmp_path, "python", "-c", IMPORT_ALL).stdout)
    assert "effnet.network" in refused and set(refused.values()) == {NO_MINDSPORE}
    assert all(name.startswith(NEED_MINDSPORE) for name in refused), refused


def test_without_mindspore_a_checkpoint_is_refused_in_a_sentence(without_mindspore, finished, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    model = finished.folder / "models/effnet.ckpt"
    done = without_mindspore.run(tmp_path, "effnet", "predict", "--model", model, "a.jpg", check=False)
    assert done.returncode == 2 and done.stderr == f"error: {NO_MINDSPORE}\n"


def test_without_openvino_it_is_refused_in_a_sentence(without_mindspore, finished, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    command = ["effnet", "predict", "--runtime", "openvino", "--model", finished.folder / "models/effnet.onnx", "a.jpg"]
    done = without_mindspore.run(tmp_path, *command, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: OpenVINO is not installed in this environment")
    assert "pip install effnet[openvino]" in done.stderr


def test_without_openvino_the_rest_is_tuned(without_mindspore, finished, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    model = finished.folder / "models/effnet.onnx"
    done = without_mindspore.run(tmp_path, "effnet", "tune", model, "--data", "a.jpg", "--seconds", "0.1")
    assert "openvino: not measured (OpenVINO is not installed" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("fastest: onnx")
    done = without_mindspore.run(tmp_path, "effnet", "predict", "--fast", "--model", model, "a.jpg")
    assert done.stderr.endswith(", as tuned\n") and done.stdout.startswith("a.jpg: ")


def test_without_mindspore_the_onnx_file_is_evaluated(without_mindspore, finished, tmp_path):
    """By the stage, in a project that holds no package of its own."""
    project = tmp_path / "project"
    shutil.copytree(finished.folder, project, ignore=shutil.ignore_patterns("effnet", ".git", ".dvc", "metrics"))
    without_mindspore.run(project, "python", "-m", "stages.onnx_eval")
    for name in ("onnx/float32", "onnx/float16", "onnx/int8"):
        there, here = (json.loads((root / f"metrics/{name}.json").read_text()) for root in (finished.folder, project))
        assert here == there
