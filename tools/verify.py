"""Does the model here still earn the committed numbers? `python -m tools.verify`

Evaluates models/effnet.ckpt (and models/effnet.onnx, where it is here) again, in a temporary folder, and compares with
the metrics of the last commit. Exit code 0: equal; 1: not, with what differs and why that can be. Nothing in this
folder changes.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from effnet import errors
from effnet.errors import InputError
from effnet.files import sha256
from effnet.results import clock
from tools.repo import git, opened

ROOT = Path(__file__).resolve().parents[1]
STAGES = {"evaluate": "models/effnet.ckpt", "onnx_eval": "models/effnet.onnx"}
READ = ("data/prepared", "models/effnet.onnx", "models/quantized")  # besides the checkpoint, which provenance speaks of
NEEDED = ("models", "data/prepared", "params.yaml")


def main():
    with opened() as repo:
        _refuse_edits(repo)
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED:
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(name).resolve())
        for stage, model in STAGES.items():
            if Path(model).exists() and committed(stage):
                run(["-m", f"stages.{stage}"], folder)
            elif committed(stage):
                print(f"metrics/{stage}.json: not verified, {model} is not here (`make pull FILES={model}`)")
        return compare(folder)


def compare(folder):
    """Print, for each metrics file in `folder`, whether it is that of the last commit. Returns the exit code."""
    equal = True
    for path in sorted(Path(folder, "metrics").glob("*.json")):
        then, now = committed(path.stem), json.loads(path.read_text())
        if then is None:
            continue
        pairs = {key: (then.get(key), now.get(key)) for key in {**then, **now}}
        lines = [f"  {key}: committed {old}, now {new}" for key, (old, new) in pairs.items() if old != new]
        print(f"metrics/{path.name}: {'DIFFERENT' if lines else 'equal'}", *lines, sep="\n")
        if lines:
            equal = False
            print(f"  why that can be: {reasons(path.stem, folder)}")
    return 0 if equal else 1


def reasons(name, folder):
    """In words, what was otherwise when the committed numbers were measured."""
    text, path = git("show", f"HEAD:metrics/provenance/{name}.json"), Path(folder, f"metrics/provenance/{name}.json")
    if text is None or not path.exists():
        return "no provenance is kept beside those numbers"
    then, now = json.loads(text), json.loads(path.read_text())
    found = [f"another {what}" for what in ("recipe", "data", "model") if then[what] != now[what]]
    for part in ("device", "versions"):
        for key, value in now[part].items():
            if then[part].get(key) != value:
                found.append(f"{key} was {then[part].get(key)}, is {value}")
    if not found:
        found.append(
            "nothing on record: same model, data, device and versions, "
            "so the committed file was edited or the code changed"
        )
    return "; ".join(found)


def committed(stage):
    """The metrics of `stage` in the last commit, or None."""
    text = git("show", f"HEAD:metrics/{stage}.json")
    return json.loads(text) if text else None


def require_numbers():
    if not committed("evaluate"):
        raise InputError(
            "metrics/evaluate.json was never committed here; "
            "run `make demo` or `make repro`, then commit metrics and dvc.lock"
        )


def run(arguments, folder, code=ROOT):
    """Run Python with these arguments in `folder`, on the project in `code`."""
    env = os.environ | {"PYTHONPATH": str(code)}
    if subprocess.run([sys.executable, *arguments], cwd=folder, env=env).returncode:
        raise InputError(f"python {' '.join(arguments)} failed, see above; nothing was compared")


def _refuse_edits(repo):
    """The committed numbers are of the committed recipe, code, data and model: with others nothing can be verified."""
    require_numbers()
    edited = clock.git_state()["edited"]
    if edited:
        raise InputError(
            f"uncommitted edits: {', '.join(edited[:5])}; "
            "commit or stash them first, the committed metrics are not theirs"
        )
    recorded = json.loads(git("show", "HEAD:metrics/provenance/evaluate.json") or "{}").get("model")
    if not Path("models/effnet.ckpt").exists() or not Path("data/prepared").exists():
        raise InputError(
            "models/effnet.ckpt or data/prepared is not here; `make pull` brings them, `make repro` makes them"
        )
    if recorded and sha256("models/effnet.ckpt") != recorded:
        raise InputError(
            "models/effnet.ckpt is not the model that the committed metrics are of; "
            "`dvc checkout` or `make pull` brings it back, or commit this one's metrics and dvc.lock"
        )
    outs = [out for out in repo.index.outs if str(out) in READ and out.hash_info and out.exists]
    changed = ", ".join(str(out) for out in outs if out.changed_checksum())
    if changed:
        raise InputError(f"{changed} is not what dvc.lock records; `dvc checkout` or `make pull` brings it back")


if __name__ == "__main__":
    errors.run(main)
