"""The msrun command: what it says, and what cannot be launched."""

import socket

import pytest

from effnet.devices import launch
from effnet.errors import InputError


def test_the_command_starts_a_module_on_every_device():
    words = launch.command("stages.train", 8, nodes=2, node_rank=1, master="10.0.0.1")
    assert words[0].endswith("msrun") and words[-3:] == ["python", "-m", "stages.train"]
    wanted = {"--worker_num=8", "--local_worker_num=4", "--node_rank=1", "--master_addr=10.0.0.1"}
    assert wanted | {f"--master_port={launch.PORT}"} <= set(words)


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
