"""The msrun command: what it says, what cannot be launched, and how a job under real msrun ends."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from effnet.devices import launch, workers
from effnet.errors import InputError
from tests import processes
from tests.conftest import ROOT


def test_the_command_starts_a_module_on_every_device():
    words = launch.command("stages.train", 8, nodes=2, node_rank=1, master="10.0.0.1")
    assert words[0].endswith("msrun") and words[-3:] == ["python", "-m", "stages.train"]
    wanted = {"--worker_num=8", "--local_worker_num=4", "--node_rank=1", "--master_addr=10.0.0.1"}
    assert wanted | {f"--master_port={launch.PORT}"} <= set(words)
    assert not [word for word in words if "time_out" in word or "bind" in word]


def test_on_ascend_each_process_is_bound_to_cores():
    assert "--bind_core=True" in launch.command("stages.train", 8, "Ascend")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"devices": 8, "nodes": 3}, "cannot be shared out"),
        ({"devices": 8, "nodes": 2, "node_rank": 2, "master": "10.0.0.1"}, "count from 0"),
        ({"devices": 8, "nodes": 2}, "name the address of machine 0"),
    ],
)
def test_what_cannot_be_launched_is_said(arguments, words):
    with pytest.raises(InputError, match=words):
        launch.command("stages.train", **arguments)


def test_a_port_in_use_is_said():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(InputError, match="is in use"):
            launch.command("stages.train", 2, port=taken.getsockname()[1])


def test_what_another_launcher_exported_is_not_passed_on(monkeypatch):
    for name in launch.NOT_OURS:
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("GLOG_v", "4")  # as effnet.network sets it for a process alone
    given = launch.environment()
    assert not given.keys() & set(launch.NOT_OURS) and given["GLOG_v"] == "3"
    assert given["ASCEND_SLOG_PRINT_TO_STDOUT"] == "1"
    monkeypatch.setenv("ASCEND_SLOG_PRINT_TO_STDOUT", "0")
    assert launch.environment()["ASCEND_SLOG_PRINT_TO_STDOUT"] == "0"


@pytest.mark.parametrize(
    "given, inside, number",
    [
        ({}, False, 0),
        ({"RANK_TABLE_FILE": "table.json"}, False, 0),  # exported for all: no process of a set-up with one
        ({"RANK_TABLE_FILE": "table.json", "RANK_ID": "5", "DEVICE_ID": "5"}, True, 5),
        ({"MS_ROLE": "MS_WORKER", "RANK_ID": "11", "DEVICE_ID": "3"}, True, 3),
        ({"OMPI_COMM_WORLD_RANK": "9", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "DEVICE_ID": "0"}, True, 1),
        ({"DEVICE_ID": "2"}, False, 2),  # one process, on a device of one's choice
    ],
)
def test_each_process_has_its_device(monkeypatch, given, inside, number):
    for name in ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", *launch.NOT_OURS):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert (launch.inside(), launch.device_id()) == (inside, number)


def test_a_device_that_is_no_number_is_said(monkeypatch):
    monkeypatch.setenv("DEVICE_ID", "npu0")
    with pytest.raises(InputError, match="DEVICE_ID=npu0: expected the number of a device"):
        launch.device_id()


def start(folder, **variables):
    """A launcher of two light workers in `folder`, and those once they are at work."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-m", "tests.devices.light_worker"], cwd=folder, env=env, **pipes)
    processes.wait(lambda: len(list((folder / launch.LOGS).glob("rank_*.alive"))) == 2, what="two ranks")
    return process, processes.workers_in(folder, "light_worker")


@pytest.mark.parametrize(
    "number, to, code",
    [
        (signal.SIGTERM, "launcher", launch.EXIT_STOPPED),
        (signal.SIGTERM, "all", launch.EXIT_STOPPED),
        (signal.SIGINT, "launcher", 130),
        (signal.SIGKILL, "launcher", -signal.SIGKILL),
        (signal.SIGKILL, "msrun", 1),
        (signal.SIGKILL, "worker", 1),
    ],
)
def test_a_job_ends_whole(tmp_path, number, to, code):
    """Whoever gets the signal: the launcher's exit code says how it ended, and nothing lives on."""
    process, ranks = start(tmp_path)
    everyone = processes.in_folder(tmp_path)
    msrun = [pid for pid, line in everyone.items() if "msrun" in line]
    assert len(ranks) == 2 and len(msrun) == 1 and set(ranks) < everyone.keys()
    for pid in {"launcher": [process.pid], "all": everyone, "msrun": msrun, "worker": ranks[1:]}[to]:
        os.kill(pid, number)
    _, error = process.communicate(timeout=90)
    assert process.returncode == code, error
    processes.wait(lambda: not processes.in_folder(tmp_path), 20, "the end of all processes")
    if code in (launch.EXIT_STOPPED, 130):
        assert "rank 0, device 0" in error and "rank 1" not in error  # the first rank's lines
        assert "rank 1, device 1" in (tmp_path / launch.LOGS / "worker_1.log").read_text()
    assert code != 1 or "error: " in error


@pytest.mark.parametrize(
    "code, said", [(2, "error: worker_1: the disk is full\n"), (1, "RuntimeError: something broke")]
)
def test_a_rank_that_fails_ends_the_job_with_its_sentence(tmp_path, code, said):
    process, _ = start(tmp_path, LIGHT_ENDS=f"1,{code}")
    _, error = process.communicate(timeout=90)
    assert process.returncode == code and said in error
    assert not processes.in_folder(tmp_path)


def test_a_rank_that_hangs_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "HANGS", 0.5)
    process, ranks = start(tmp_path)
    folder = tmp_path / launch.LOGS
    assert workers.hanging(folder, ranks) == ""
    os.kill(ranks[1], signal.SIGSTOP)
    said = processes.wait(lambda: workers.hanging(folder, ranks), 20, "the sentence")
    assert (
        said.startswith(f"rank 1, process {ranks[1]}, has shown no sign of life since ") and "(it is stopped)" in said
    )
    os.kill(ranks[1], signal.SIGCONT)
    processes.wait(lambda: not workers.hanging(folder, ranks[1:]), 20, "its being well again")
    process.kill()
    process.communicate()


def test_each_machine_shows_its_own_first_ranks_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(launch, "LOGS", tmp_path)
    (tmp_path / "worker_9.log").write_text("rank 9's\n")
    (tmp_path / "worker_10.log").write_text("rank 10's\n")
    (tmp_path / "worker_8.log").write_text("epoch 1\n[ERROR] HCCL(1,python): link down\nepoch 2\n")
    shown = launch._show(0)
    assert capsys.readouterr().err == "epoch 1\nepoch 2\n"  # what the frameworks say stays in the log
    with open(tmp_path / "worker_8.log", "a") as log:
        log.write("epoch 3\n")
    launch._show(shown)
    assert capsys.readouterr().err == "epoch 3\n"


def test_a_rank_that_is_behind_is_named(tmp_path):
    workers.sign(tmp_path, 0, 5)
    workers.sign(tmp_path, 1, 4)
    assert workers.hanging(tmp_path, [os.getpid()]) == ""  # not for long
    os.utime(tmp_path / "rank_1.alive", (1e9, 1e9))
    assert workers.hanging(tmp_path, [os.getpid()]).startswith(
        f"rank 1, process {os.getpid()}, has shown no sign of life"
    )
    os.utime(tmp_path / "rank_0.alive", (1e9, 1e9))
    workers.sign(tmp_path, 1, 5)
    assert workers.hanging(tmp_path, [os.getpid()]) == ""  # all are as far: a long validation, say
