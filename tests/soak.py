"""A training that is killed and stopped at ten random moments ends with the bytes of one that never was.

    python -m tests.soak FOLDER [--processes 4] [--kills 10] [--recipe digits] [--seed 0]      FOLDER: a new one

One process is killed with SIGKILL. Of several: SIGKILL to a random rank, to msrun, to the launcher; SIGTERM to the
launcher, to a random rank, to all of them; a random rank stopped for a minute, which the job bears; each of these once,
in random order, then any of them. Prints a line of a table for each: what was done, the exit code, how long until no
process was left, from where this start had gone on. Then compares models/effnet.ckpt and the evaluation. Exit code 1 if
anything differs, lives on, is left half-written or ends with another exit code than docs/several-machines.md says.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests import processes
from tests.conftest import copy_project

KILL, TERM, STOP = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP
ALONE = [(KILL, "launcher")]
SEVERAL = [
    (KILL, "rank"), (KILL, "msrun"), (KILL, "launcher"),
    (TERM, "launcher"), (TERM, "rank"), (TERM, "all"), (STOP, "rank"),
]  # fmt: skip
CODES = {(KILL, "rank"): 1, (KILL, "msrun"): 1, (KILL, "launcher"): -KILL}  # of the launcher; else 75
STANDS = 70  # seconds that a stopped rank stands: a minute, after which the launcher says who hangs, and some more
HANGS = "has shown no sign of life"
ORPHANS = 30  # seconds after which nothing may live on


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--seconds", type=float, default=30, help="a kill comes so long after a checkpoint, at most")
    args = parser.parse_args()
    moments = random.Random(args.seed)
    whole, broken = (copy_project(args.folder.resolve() / name, args.recipe) for name in ("whole", "broken"))
    whole.run("python", "-m", "stages.prepare")
    shutil.copytree(whole.folder / "data/prepared", broken.folder / "data/prepared")
    several = {"train__device_num": args.processes, "train__sync_bn": True} if args.processes > 1 else {}
    for project in (whole, broken):
        project.set(train__save_checkpoint_steps=10, train__keep_checkpoint_max=2, **several)
        if args.epochs:
            project.set(train__epoch_size=args.epochs)
    whole.run("python", "-m", "stages.train")
    print("| # | signal | to | at | exit code | gone after, s | it had |\n|---|---|---|---|---|---|---|", flush=True)
    kinds, good = SEVERAL if several else ALONE, True
    blows = moments.sample(kinds, len(kinds)) + moments.choices(kinds, k=args.kills)
    for number, (signal_, to) in enumerate(blows[: args.kills]):
        row = strike(broken, signal_, to, moments, args.seconds)
        if row is None:
            print(f"finished after {number} kills; take fewer kills or a longer recipe")
            return 1
        good &= row.pop("good")
        print(f"| {number + 1} | {signal_.name} | {to} | " + " | ".join(map(str, row.values())) + " |", flush=True)
    for project in (broken, whole):
        for stage in ("train", "evaluate"):
            project.run("python", "-m", f"stages.{stage}")
    for name in ("models/effnet.ckpt", "metrics/evaluate.json", "metrics/evaluate/per_image.csv"):
        same = (broken.folder / name).read_bytes() == (whole.folder / name).read_bytes()
        print(f"{name}: {'equal' if same else 'DIFFERENT'}", flush=True)
        good &= same
    parts = list((broken.folder / "models").rglob("*.part"))
    print(f"left half-written: {len(parts)}")
    return 0 if good and not parts else 1


def strike(project, number, to, moments, seconds):
    """Train until some time after the next checkpoint, send the signal; what came of it, or None where training was
    through.
    """
    before = newest(project)
    env = os.environ | {"PYTHONPATH": str(project.folder), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen([sys.executable, "-m", "stages.train"], cwd=project.folder, env=env, **pipes)
    while newest(project) == before and process.poll() is None:  # it gets somewhere, so that ten kills end some day
        time.sleep(0.05)
    time.sleep(moments.uniform(0, seconds))
    at, everyone = newest(project), processes.in_folder(project.folder)
    ranks = processes.workers_in(project.folder, "stages.train")
    msrun = [pid for pid, line in everyone.items() if "msrun" in line]
    one = moments.choice(ranks or [process.pid])
    aims = {"launcher": [process.pid], "rank": [one], "msrun": msrun, "all": list(everyone)}[to]
    if process.poll() is not None:
        return None
    for pid in aims:
        os.kill(pid, number)
    if number == STOP:
        time.sleep(STANDS)
        for pid in aims:
            if pid in processes.in_folder(project.folder):
                os.kill(pid, signal.SIGCONT)
        process.send_signal(TERM)  # it bore that: stop it as one should
    began = time.time()
    out, _ = process.communicate()
    ended = time.time()
    while processes.in_folder(project.folder) and time.time() - ended < ORPHANS:
        time.sleep(0.1)
    gone, left = round(time.time() - began, 1), processes.in_folder(project.folder)
    for pid in left:
        os.kill(pid, KILL)
    said = next((line for line in out.splitlines() if line.startswith("resumed")), "started from nothing")
    good = not left and process.returncode == CODES.get((number, to), 75) and (number != STOP or HANGS in out)
    return {"at": at, "code": process.returncode, "gone": gone if not left else "NEVER", "said": said, "good": good}


def newest(project):
    return max((path.name for path in (project.folder / "models/checkpoints").glob("step-*.ckpt")), default="none")


if __name__ == "__main__":
    sys.exit(main())
