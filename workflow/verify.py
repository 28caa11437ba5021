"""Does the model here still earn the committed numbers? `python workflow/verify.py`

Evaluates models/effnet.ckpt (and models/effnet.onnx, where it is here) again, in a temporary folder, and compares with the metrics of the
last commit. Exit code 0: equal; 1: not, with what differs and why that can be. Nothing in this folder changes.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from repo import git, opened

from effnet import errors, provenance
from effnet.errors import InputError
from effnet.files import sha256

ROOT = Path(__file__).resolve().parents[1]
STAGES = {"evaluate": "models/effnet.ckpt", "onnx_eval": "models/effnet.onnx"}
NEEDED = ("models", "data/prepared", "params.yaml")


def main():
    with opened() as repo:
        _refuse_edits(repo)
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED:
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(name).resolve())
        stages = [stage for stage, model in STAGES.items() if Path(model).exists() and committed(stage)]
        for stage in stages:
            run([sys.executable, ROOT / f"stages/{stage}.py"], folder)
        return compare(stages, folder)


def compare(stages, folder):
    """Print, for each stage, whether its metrics in `folder` are those of the last commit. Returns the exit code."""
    equal = True
    for stage in stages:
        then, now = committed(stage), json.loads(Path(folder, f"metrics/{stage}.json").read_text())
        differences = [f"{key}: committed {then.get(key)}, now {now.get(key)}" for key in {**then, **now} if then.get(key) != now.get(key)]
        print(f"metrics/{stage}.json: {'equal' if not differences else 'DIFFERENT'}")
        if differences:
            equal = False
            print("".join(f"  {line}\n" for line in differences) + f"  why that can be: {reasons(stage, folder)}")
    return 0 if equal else 1


def reasons(stage, folder):
    """In words, what was otherwise when the committed numbers were measured."""
    text = git("show", f"HEAD:metrics/provenance/{stage}.json")
    if text is None:
        return "no provenance was committed beside those numbers"
    then, now = json.loads(text), json.loads(Path(folder, f"metrics/provenance/{stage}.json").read_text())
    found = [f"another {what}" for what in ("recipe", "data", "model") if then[what] != now[what]]
    found += [f"{key} was {then['device'].get(key)}, is {now['device'][key]}" for key in now["device"] if then["device"].get(key) != now["device"][key]]
    found += [f"{name} was {then['versions'].get(name)}, is {v}" for name, v in now["versions"].items() if then["versions"].get(name) != v]
    if then["edited"]:
        found.append(f"it was measured with uncommitted edits of {', '.join(then['edited'][:3])}")
    return "; ".join(found) or "nothing on record: same model, data, device and versions, so the committed file was edited or the code changed"


def committed(stage):
    """The metrics of `stage` in the last commit, or None."""
    text = git("show", f"HEAD:metrics/{stage}.json")
    return json.loads(text) if text else None


def run(command, folder, code=ROOT):
    env = os.environ | {"PYTHONPATH": str(code)}
    if subprocess.run([str(word) for word in command], cwd=folder, env=env).returncode:
        raise InputError(f"{' '.join(str(word) for word in command[1:])} failed, see above; nothing was compared")


def _refuse_edits(repo):
    """The committed numbers are of the committed recipe, code, data and model: with others there is nothing to verify."""
    if not committed("evaluate"):
        raise InputError("metrics/evaluate.json was never committed here; run `make demo` or `make repro`, then commit metrics and dvc.lock")
    edited = provenance.git_state()["edited"]
    if edited:
        raise InputError(f"uncommitted edits: {', '.join(edited[:5])}; commit or stash them first, the committed metrics are not theirs")
    recorded = json.loads(git("show", "HEAD:metrics/provenance/evaluate.json") or "{}").get("model")
    if not Path("models/effnet.ckpt").exists() or not Path("data/prepared").exists():
        raise InputError("models/effnet.ckpt or data/prepared is not here; `make pull` brings them, `make repro` makes them")
    if recorded and sha256("models/effnet.ckpt") != recorded:
        raise InputError("models/effnet.ckpt is not the model that the committed metrics are of; `dvc checkout` or `make pull` brings it back")


if __name__ == "__main__":
    errors.run(main)
