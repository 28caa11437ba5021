"""A training run that is killed with SIGKILL at ten random moments ends with the bytes of one that never stopped.

    python -m tests.soak FOLDER [--kills 10] [--recipe digits] [--seed 0]      FOLDER: a new one; some 20
    minutes with digits on 2 cores

Prints when each kill came and what was resumed, then compares models/effnet.ckpt and metrics/evaluate.json. Exit code 1
if they differ.
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

from tests.conftest import copy_project


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    args = parser.parse_args()
    moments = random.Random(args.seed)
    whole, broken = (copy_project(args.folder.resolve() / name, args.recipe) for name in ("whole", "broken"))
    whole.run("python", "-m", "stages.prepare")
    shutil.copytree(whole.folder / "data/prepared", broken.folder / "data/prepared")
    for project in (whole, broken):
        project.set(train__save_checkpoint_steps=10, train__keep_checkpoint_max=2)
    env = os.environ | {"PYTHONPATH": str(broken.folder), "PYTHONUNBUFFERED": "1"}
    done = 0
    while done < args.kills:
        before = newest(broken)
        command, pipes = (
            [sys.executable, "-m", "stages.train"],
            {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL},
        )
        process = subprocess.Popen(command, cwd=broken.folder, env=env, text=True, **pipes)
        while newest(broken) == before and process.poll() is None:  # it got somewhere, so that ten kills end some day
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 30))
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate()
        if process.returncode != -signal.SIGKILL:
            print(f"finished after {done} kills; take fewer kills or a longer recipe")
            return 1
        done += 1
        said = next((line for line in out.splitlines() if line.startswith("resumed")), "started from nothing")
        print(f"kill {done}: {said}; newest checkpoint when it came: {newest(broken)}", flush=True)
    for project in (broken, whole):
        for stage in ("train", "evaluate"):
            project.run("python", "-m", f"stages.{stage}")
    equal = True
    for name in ("models/effnet.ckpt", "metrics/evaluate.json", "metrics/evaluate/per_image.csv"):
        same = (broken.folder / name).read_bytes() == (whole.folder / name).read_bytes()
        print(f"{name}: {'equal' if same else 'DIFFERENT'}", flush=True)
        equal &= same
    return 0 if equal else 1


def newest(project):
    return max((path.name for path in (project.folder / "models/checkpoints").glob("step-*.ckpt")), default="none")


if __name__ == "__main__":
    sys.exit(main())
