"""Many devices: one process each, started by MindSpore's own msrun - HCCL on Ascend, NCCL on GPUs, mccl on CPUs - on
one machine or several.
"""

import contextlib
import ctypes
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from effnet.devices import workers
from effnet.errors import InputError

LOGS = Path("tmp/msrun")  # one worker_N.log per process
PORT = 8118  # msrun's own default; one machine alone takes any free port
STOPPED = "stopped by SIGTERM; the state is saved, run again to go on"
EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h
EXIT_INTERRUPTED = 130  # as effnet.errors has it
LAUNCHER = "EFFNET_LAUNCHER"  # environment of the workers: number of the process that started msrun
LEFT = 10  # seconds that a scheduler may live without workers, or workers without their scheduler
OVER = 1  # the scheduler, where a worker has said why all of them ended
# of another launcher, exported for all: msrun's workers would take them for their own
NOT_OURS = ("RANK_TABLE_FILE", "RANK_ID", "RANK_SIZE", "DEVICE_ID")
DEFAULTS = {
    "ASCEND_GLOBAL_LOG_LEVEL": "3",  # CANN's errors belong into the workers' logs
    "ASCEND_SLOG_PRINT_TO_STDOUT": "1",
    "MS_CPU_COMM_OP_TIMEOUT": "600",  # seconds; mccl's own is shorter than a checkpoint on a slow disk may take
    "MS_NODE_TIMEOUT": "120",  # and the scheduler's own than a rank may stand still
}
WHY = re.compile(rf"^error: |{STOPPED}", re.M)  # what the log of a rank that ended with a sentence has
FRAMEWORKS = re.compile(r"\[(INFO|WARNING|ERROR|CRITICAL|EVENT)\]")  # how MindSpore's and CANN's own lines begin


def inside():
    """Whether this process is one of several: started by msrun, by mpirun, or once per device beside a rank table."""
    given = os.environ.get
    return bool(given("MS_ROLE") or given("OMPI_COMM_WORLD_RANK") or (given("RANK_TABLE_FILE") and given("RANK_ID")))


def device_id():
    """Number of this process's device on its machine: what mpirun, msrun or the set-up of a rank table say, else 0.

    Raises InputError for what is no number.
    """
    for name in ("OMPI_COMM_WORLD_LOCAL_RANK", "DEVICE_ID"):
        if text := os.environ.get(name):
            if not text.isdecimal():
                raise InputError(f"{name}={text}: expected the number of a device, from 0")
            return int(text)
    return 0


def command(module, devices, target="CPU", nodes=1, node_rank=0, master="127.0.0.1", port=0):
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
    # No rank has the number whose log msrun is told to show: we show one ourselves, and its `tail`s would outlive it.
    # On Ascend each process stays on cores near its device, as MindCV's recipes have it.
    bound = ["--bind_core=True"] if target == "Ascend" else []
    return [
        str(Path(sys.executable).with_name("msrun")),
        f"--worker_num={devices}", f"--local_worker_num={devices // nodes}",
        f"--master_addr={master}", f"--master_port={port}", f"--node_rank={node_rank}",
        f"--log_dir={LOGS}", "--join=True", f"--tail_worker_log={devices}", *bound,
        "python", "-m", module,
    ]  # fmt: skip


def environment():
    """What msrun and its workers are started with."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # msrun starts whatever python comes first
    errors = min(os.environ.get("GLOG_v", "3"), "3")  # MindSpore's too, which a process alone does not show
    return DEFAULTS | kept | {"PATH": path, "GLOG_v": errors, LAUNCHER: str(os.getpid())}


def run(command):
    """Run an msrun command, showing the lines of this machine's first rank.

    SIGTERM and Ctrl-C are passed to the workers, which save and stop; a second Ctrl-C kills them. Whatever ends this
    process or msrun, no worker outlives it. Returns the exit code: 0, EXIT_STOPPED, EXIT_INTERRUPTED, 2 where a rank's
    own sentence says why (it is shown), else 1.
    """
    print(shlex.join(command), flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in LOGS.glob("*_*.*"):
        old.unlink()
    asked = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: asked.append(number))
    with open(LOGS / "msrun.log", "w") as log:
        process = subprocess.Popen(
            command,
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to pass on
            preexec_fn=lambda: (signal.signal(signal.SIGTERM, signal.SIG_IGN), _die_with_parent()),
        )
    _follow(process, asked)
    return _outcome(process.returncode, asked)


def follows():
    """Whether msrun was started by `run`, which then knows how this process ends."""
    return LAUNCHER in os.environ


def follow_launcher():
    """In a process that `run` has msrun start: end when msrun ends, however it does."""
    if follows():
        _die_with_parent()
        if not Path("/proc", os.environ[LAUNCHER]).exists():  # all of that came to pass before
            sys.exit(1)


def sign_of_life(rank, steps):
    """In a rank, after each step: what `run` looks at to say which one hangs."""
    if follows():
        workers.sign(LOGS, rank, steps)


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _follow(process, asked):
    """Until msrun has ended: show the first rank's lines, pass signals on, say which rank hangs."""
    shown, ours, scheduled, alone_since, hanging = 0, set(), False, None, ""
    while process.poll() is None:
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        shown = _show(shown)
        at_work, scheduler = workers.of(process.pid)
        ours |= set(at_work)
        scheduled |= bool(scheduler)
        if asked:  # again and again: one that is still starting may not listen yet
            workers.send(signal.SIGTERM, at_work)
        if hanging != (hanging := workers.hanging(LOGS, at_work)) and hanging:
            print(hanging, file=sys.stderr, flush=True)
        # msrun waits for workers without their scheduler, and for the scheduler without workers, as long as it takes
        half = ours and (not at_work or (scheduled and not scheduler))
        alone_since = (alone_since or time.monotonic()) if half else None
        patience = OVER if alone_since and not at_work and any(map(WHY.search, _texts().values())) else LEFT
        if asked.count(signal.SIGINT) > 1 or (alone_since and time.monotonic() - alone_since > patience):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the scheduler too; the workers die with it
    _show(shown)
    workers.send(signal.SIGKILL, workers.alive(ours))


def _show(shown):
    """Show what this machine's first rank has written after `shown` bytes; returns how many there are now."""
    logs = _logs()
    if logs:
        with open(logs[0], errors="replace") as file:
            file.seek(shown)
            for line in file.read().splitlines():
                if not FRAMEWORKS.match(line):
                    print(line, file=sys.stderr)
            return file.tell()
    return shown


def _logs():
    return sorted(LOGS.glob("worker_*.log"), key=lambda path: int(path.stem.rpartition("_")[2]))


def _texts():
    return {path.stem: path.read_text(errors="replace") for path in _logs()}


def _outcome(code, asked):
    """The exit code of a job whose msrun ended with `code`; what went wrong is said."""
    texts = _texts()
    if any(STOPPED in text for text in texts.values()):
        return EXIT_INTERRUPTED if signal.SIGINT in asked else EXIT_STOPPED
    if not code:
        return 0
    if signal.SIGINT in asked:
        return EXIT_INTERRUPTED
    said = {}
    for rank, text in texts.items():
        if found := re.findall(r"^error: .*|^\w*(?:Error|Exception): .*", text, re.M):
            said.setdefault(found[0], rank)  # what all of them say is said once
    sentences = [line for line in said if line.startswith("error: ")]
    for line in sentences or said:
        if said[line] != next(iter(texts)):  # whose lines were shown as they came
            print(f"error: {said[line]}: {line.removeprefix('error: ')}", file=sys.stderr)
    if not sentences:
        print(f"error: msrun ended with code {code}; see {LOGS}", file=sys.stderr)
    return 2 if sentences else 1


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
