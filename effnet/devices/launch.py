"""Many devices: one process each, started by MindSpore's own msrun - HCCL on Ascend, NCCL on GPUs, mccl on CPUs - on
one machine or several.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

from effnet.errors import InputError

LOGS = Path("tmp/msrun")  # one worker_N.log per process
PORT = 8118  # msrun's own default; one machine alone takes any free port


def inside():
    """Whether this process was started by msrun (or by mpirun or a rank table, for old Ascend set-ups)."""
    return bool(
        os.environ.get("MS_ROLE") or os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("RANK_TABLE_FILE")
    )


def command(module, devices, nodes=1, node_rank=0, master="127.0.0.1", port=0):
    """The msrun command that runs `python -m module` on `devices` devices over `nodes` machines, this one being
    `node_rank`. Raises InputError.
    """
    if devices % nodes:
        raise InputError(
            f"train.device_num: {devices} devices cannot be shared out over {nodes} machines; choose a multiple"
        )
    if not 0 <= node_rank < nodes:
        raise InputError(f"--node-rank: {node_rank} for {nodes} machines; they count from 0")
    if nodes > 1 and master == "127.0.0.1":
        raise InputError("--master: with several machines, name the address of machine 0, the same on all of them")
    port = port or (_free_port() if nodes == 1 else PORT)
    if node_rank == 0:
        _check_port(port)
    return [
        str(Path(sys.executable).with_name("msrun")),
        f"--worker_num={devices}", f"--local_worker_num={devices // nodes}",
        f"--master_addr={master}", f"--master_port={port}", f"--node_rank={node_rank}",
        f"--log_dir={LOGS}", "--join=True", "--cluster_time_out=60",
        "python", "-m", module,
    ]  # fmt: skip


def run(command):
    """Run an msrun command, showing rank 0's lines.

    Returns its exit code; a rank's own error is shown where one failed.
    """
    print(shlex.join(command), flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in LOGS.glob("worker_*.log"):
        old.unlink()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # msrun starts whatever python comes first
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=os.environ | {"PATH": path}, text=True, **pipes)
    return _follow(process)


def _follow(process):
    shown, log = 0, LOGS / "worker_0.log"
    while True:
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        if log.exists():
            with open(log, errors="replace") as file:
                file.seek(shown)
                for line in file.read().splitlines():
                    if not line.startswith(("[INFO]", "[WARNING]")):  # MindSpore's own
                        print(line, file=sys.stderr)
                shown = file.tell()
        if process.returncode is not None:
            break
    errors = {}
    for path in sorted(LOGS.glob("worker_*.log")):
        found = re.findall(r"^error: .*|^\w*(?:Error|Exception): .*", path.read_text(errors="replace"), re.M)
        if found:
            errors[path.stem] = found[0]
    if process.returncode:
        for rank, line in errors.items():
            print(f"error: {rank}: {line.removeprefix('error: ')}", file=sys.stderr)
        if not errors:
            print(f"error: msrun ended with code {process.returncode}; see {LOGS}", file=sys.stderr)
    return process.returncode


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _check_port(port):
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            raise InputError(f"port {port} is in use; name a free one with --port (the same on all machines)") from None
