"""Devices that are missing or too old for a recipe: what the user is told.

Faults of drivers and cards come from a driver library made for it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from effnet.devices import machine
from effnet.errors import InputError
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Folder with a libcuda.so.1 that FAKE_* variables steer."""
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("fake_driver.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", folder / "libcuda.so.1", source], check=True
    )
    return folder


def ask(recipe, driver="", **fake):
    """`python -m tools.doctor recipes/RECIPE.yaml` in a process of its own: (exit code, error)."""
    env = os.environ | {"LD_LIBRARY_PATH": str(driver), "CUDA_HOME": "/nowhere"}
    env |= {key: str(value) for key, value in fake.items()}
    command = [sys.executable, "-m", "tools.doctor", f"recipes/{recipe}.yaml"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_cpu_is_always_here():
    assert ask("smoke")[0] == 0


@pytest.mark.parametrize("recipe, said", [("gpu1", "libcuda.so.1 is not found"), ("ascend8", "no Ascend device")])
def test_nothing_here(recipe, said):
    code, error = ask(recipe)
    if code == 0:
        pytest.skip("this machine has the device")
    assert code == 2 and said in error and "make doctor" in error and error.count("\n") == 1


def test_cards_that_will_do(driver):
    assert ask("gpu1", driver)[0] == 0
    assert ask("gpu8", driver, FAKE_CARDS=8)[0] == 0
    assert ask("gpu1", driver, FAKE_CAPABILITY=90, FAKE_CUDA=12040)[0] == 0


@pytest.mark.parametrize(
    "recipe, fake, said",
    [
        ("gpu8", {"FAKE_CARDS": 2}, "8 GPU devices asked for on this machine, 2 are here"),
        ("gpu1", {"FAKE_CARDS": 0}, "shows no card"),
        ("gpu1", {"FAKE_INIT": 100}, "no CUDA-capable device is detected"),
        ("gpu1", {"FAKE_CUDA": 10020}, "driver is too old (CUDA 10.2)"),
        ("gpu1", {"FAKE_CAPABILITY": 90, "FAKE_CUDA": 11060}, "driver is too old (CUDA 11.6) to compile"),
        ("gpu1", {"FAKE_CAPABILITY": 52}, "capability 5.2"),
        ("gpu1", {"FAKE_CAPABILITY": 120}, "capability 12.0"),
    ],
)
def test_cards_that_will_not_do(driver, recipe, fake, said):
    code, error = ask(recipe, driver, **fake)
    assert code == 2 and said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "chosen, seen",
    [(None, [0, 1, 2, 10]), ("", []), ("1,0", [1, 0]), ("0-2", [0, 1, 2]), ("2,7,10", [2, 10])],
)
def test_ascend_devices_are_those_that_the_environment_lets_through(tmp_path, monkeypatch, chosen, seen):
    for number in (0, 1, 2, 10):
        (tmp_path / f"davinci{number}").touch()
    (tmp_path / "davinci_manager").touch()
    monkeypatch.delenv("ASCEND_RT_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", chosen)
    assert [path.name for path in machine.npus(tmp_path)] == [f"davinci{number}" for number in seen]


def test_a_choice_of_devices_that_is_none_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "npu0")
    with pytest.raises(InputError, match="ASCEND_RT_VISIBLE_DEVICES=npu0: expected numbers"):
        machine.npus(tmp_path)


def test_processes_share_the_cores_or_keep_to_their_own():
    """One of several gets its part of what its parent may use; one that is bound to fewer keeps to those."""
    code = "from effnet.devices.machine import cores_for; print(cores_for(1), cores_for(2), cores_for(1000))"
    cores = len(os.sched_getaffinity(0))

    def asked(*before):
        return subprocess.run([*before, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout

    assert asked().split() == [str(cores), str(max(1, cores // 2)), "1"]
    core = min(os.sched_getaffinity(0))
    assert asked("taskset", "-c", str(core)).split() == ["1", "1", "1"]
