"""What `make doctor` finds, on trees and libraries made for it; MindSpore's own plugin and version table are the
real ones.
"""

import os
import re
import subprocess
import sys

import pytest
from mindspore.run_check._check_version import AscendEnvChecker

from effnet.devices import cuda, machine
from tests.conftest import ROOT
from tools import doctor

PLUGIN = machine.mindspore_folder() / "lib/plugin/libmindspore_gpu.so.11.6"
NEEDED = ["libcublas.so.11", "libcudart.so.11.0", "libcudnn.so.8", "libcufft.so.10"]
NEEDED += ["libcurand.so.10", "libcusolver.so.11", "libcusparse.so.11", "libnvrtc.so.11.2"]


def run(*arguments, **env):
    command = [sys.executable, "-m", "tools.doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True)


def missing(findings):
    return {what: mend for what, mend in findings if mend}


@pytest.fixture
def wheels(tmp_path):
    """Put empty libraries of these names where `make setup DEVICE=gpu` puts NVIDIA's."""

    def make(*names):
        folder = tmp_path / "cuda/nvidia/x/lib"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "empty.c").write_text("int nothing;")
        for name in names:
            subprocess.run(
                ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, tmp_path / "empty.c"], check=True
            )
        return tmp_path / "cuda"

    return make


def test_all_three_are_reported():
    done = run()
    assert done.returncode == 0 and "CPU: can be used" in done.stdout
    assert re.search("^GPU: ", done.stdout, re.M) and re.search("^Ascend: ", done.stdout, re.M)
    assert run("tpu").returncode == 2


def test_a_recipe_is_asked_for_alone():
    for arguments in (["cpu", "recipes/smoke.yaml"], ["recipes/smoke.yaml", "recipes/gpu8.yaml"]):
        done = run(*arguments)
        assert done.returncode == 2 and "nor one recipe's file" in done.stderr
    done = run("recipes/none.yaml")
    assert done.returncode == 2 and done.stderr.startswith("error: recipes/none.yaml: no such recipe")


def test_exit_code_is_that_of_the_target_asked_for():
    assert run("cpu").returncode == 0
    done = run("ascend", ASCEND_HOME_PATH="")
    assert (done.returncode == 1) == ("MISSING" in done.stdout)


@pytest.mark.skipif(not PLUGIN.is_file(), reason="this MindSpore wheel holds no GPU plugin")
def test_plugin_without_and_with_its_libraries(wheels, tmp_path):
    if cuda.has_driver():
        pytest.skip("this machine has a driver")
    ((what, mend),) = doctor._libraries("plugin", PLUGIN, tmp_path)
    there = set(cuda.unresolved(PLUGIN, tmp_path))  # what a CUDA on this machine already brings is not missing
    assert "libcudnn.so.8" in there and there <= {*NEEDED, cuda.DRIVER} and mend == "make setup DEVICE=gpu"
    assert all(name in what for name in there - {cuda.DRIVER}) and cuda.DRIVER not in what

    ((what, mend),) = doctor._libraries("plugin", PLUGIN, wheels(*NEEDED))
    assert mend == "" and what.endswith("every library found but the driver's libcuda.so.1")
    assert cuda.unresolved(PLUGIN, wheels()) == [cuda.DRIVER]


@pytest.mark.skipif(not PLUGIN.is_file(), reason="this MindSpore wheel holds no GPU plugin")
def test_wrong_cuda_major(wheels):
    folder = wheels(*[name for name in NEEDED if "cublas" not in name], "libcublas.so.12")
    ((what, mend),) = doctor._libraries("plugin", PLUGIN, folder)
    assert "wrong CUDA major: libcublas.so.11 is needed, libcublas.so.12 is there" in what and mend


def test_two_onnxruntimes(tmp_path):
    for name in ("onnxruntime", "onnxruntime_gpu"):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    done = run("cpu", PYTHONPATH=str(tmp_path))
    assert (
        done.returncode == 1
        and "two ONNX Runtime packages" in done.stdout
        and "-> make setup DEVICE=gpu" in done.stdout
    )


def test_cann_table_is_mindspores_own():
    assert doctor.cann_versions() == AscendEnvChecker(None).version


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """An Ascend machine on paper: driver, two devices, CANN of a version that MindSpore accepts, its environment
    set.
    """
    files = {
        "root/driver/version.info": "Version=25.5.0\n",
        "root/ascend-toolkit/set_env.sh": "",
        "cann/compiler/version.info": f"Version={doctor.cann_versions()[-1]}.RC1\nversion_dir=1\n",
        "cann/lib64/libhccl.so": "",
        "dev/davinci0": "",
        "dev/davinci1": "",
        "dev/davinci_manager": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path / "cann"))
    return tmp_path


def look(paper):
    return doctor.ascend(str(paper / "root"), str(paper / "dev"))


def test_ascend_in_order(paper):
    text = "\n".join(what for what, mend in look(paper) if not mend)
    assert (
        "2 Ascend devices" in text
        and "NPU driver 25.5.0" in text
        and f"CANN {doctor.cann_versions()[-1]}.RC1" in text
        and "HCCL" in text
    )


@pytest.mark.parametrize(
    "spoil, said, mend",
    [
        (lambda m, e: [path.unlink() for path in m.glob("dev/*")], "0 Ascend devices", "docs/ascend.md, step 1"),
        (lambda m, e: (m / "root/driver/version.info").unlink(), "NPU driver in ", "docs/ascend.md, step 1"),
        (
            lambda m, e: (m / "cann/compiler/version.info").write_text("Version=7.0.0\n"),
            "CANN 7.0.0",
            "docs/ascend.md, step 2",
        ),
        (lambda m, e: (m / "cann/lib64/libhccl.so").unlink(), "HCCL", "docs/ascend.md, step 2"),
        (lambda m, e: e.delenv("ASCEND_HOME_PATH"), "its environment is not set", "/root/ascend-toolkit/set_env.sh"),
    ],
)
def test_ascend_faults(paper, monkeypatch, spoil, said, mend):
    before = missing(look(paper))
    spoil(paper, monkeypatch)
    new = {what: how for what, how in missing(look(paper)).items() if what not in before}
    assert any(said in what and mend in how for what, how in new.items()), new


def test_setup_refuses_an_unknown_device():
    done = subprocess.run(["./setup.sh", "tpu"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "error: DEVICE=tpu is not cpu, gpu or ascend\n"
