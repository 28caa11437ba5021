"""Write the output of README.md's commands into it: `python -m tools.readme`, after a release's run was committed.

They run in a clone of the last commit that has pulled what comes with it: the README shows what a reader gets.
tests/tools/test_readme.py runs them again and compares.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from effnet import errors
from effnet.errors import InputError
from effnet.files import whole

ROOT = Path(__file__).resolve().parents[1]
# main's history holds these two runs; their recipes differ by one parameter
RECORDED = "557009f", "330f22f"
BETWEEN = " ".join(RECORDED)
REPRO = 'dvc repro | grep "tage \'"'
EDIT = "sed -i '/^evaluate/,/^export/s/bilinear/bicubic/' params.yaml"
# {block: [(as the reader types it, what runs)]}; make's own `setup` would bind the environment to the clone
COMMANDS = {
    "pull": [("make pull", "python -m tools.transfer pull")],
    "repro": [(EDIT, EDIT), (REPRO, REPRO)],
    "ascend8": [("make train-ascend8 DRY_RUN=1", "python -m tools.launch --dry-run recipes/ascend8.yaml")],
    "diff": [
        (f"dvc params diff {BETWEEN}", f"dvc params diff {BETWEEN}"),
        (f"dvc metrics diff {BETWEEN}", f"dvc metrics diff {BETWEEN}"),
        (f"make compare A={RECORDED[0]} B={RECORDED[1]}", f"python -m tools.compare {BETWEEN}"),
    ],
}


def main():
    with tempfile.TemporaryDirectory() as folder:
        clone = cloned(ROOT, Path(folder, "effnet"))
        readme = ROOT / "README.md"
        text = readme.read_text()
        for name in COMMANDS:
            place = re.compile(rf"(<!-- output: {name} -->\n).*?(<!-- end -->)", re.S)
            said = output(name, clone)
            print(said)
            text = place.sub(lambda found, said=said: f"{found[1]}```console\n{said}```\n{found[2]}", text)
        with whole(readme, "w") as file:
            file.write(text)


def cloned(source, folder):
    subprocess.run(["git", "clone", "-q", source, folder], check=True)
    return folder


def output(name, clone):
    """The commands of a block with what they print in the folder `clone`, as it stands in the README."""
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(clone)}
    lines = []
    for shown, command in COMMANDS[name]:
        done = subprocess.run(["bash", "-c", command], cwd=clone, env=env, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{command}: {done.stderr.strip()}")
        said = done.stdout.replace(f"{clone}/", "").replace(f"{Path(sys.executable).parent}/", ".venv/bin/")
        lines += [f"$ {shown}", *(line.rstrip() for line in re.sub(r"port=\d+", "port=PORT", said).splitlines())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    errors.run(main)
