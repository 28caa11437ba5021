"""Does the model here still earn the committed numbers? `python -m tools.verify`

Evaluates models/effnet.ckpt (and the ONNX files, where they are here) again, in a temporary folder, and compares with
the metrics of the last commit. Exit code 0: equal; 1: not, with what differs and why that can be. Nothing in this
folder changes.
"""

from pathlib import Path

from effnet import errors, parsed
from effnet.comparison import beside
from effnet.devices import machine
from effnet.errors import InputError
from effnet.files import sha256
from effnet.results import clock
from tools.facts import RUNTIMES
from tools.repo import git, opened

ROOT = Path(__file__).resolve().parents[1]
STAGES = {"evaluate": ["models/effnet.ckpt"], "onnx_eval": ["models/effnet.onnx", "models/quantized"]}
PROVENANCE = {row.metrics: row.provenance for row in RUNTIMES.values()}
READ = ("data/prepared", "models/effnet.onnx", "models/quantized")  # besides the checkpoint, which provenance speaks of


def main():
    with opened() as repo:
        _refuse_edits(repo)
    with beside.folder() as folder:
        for stage, models in STAGES.items():
            metrics, absent = RUNTIMES[stage].metrics, [model for model in models if not Path(model).exists()]
            if absent and committed(metrics):
                print(f"metrics/{metrics}.json: not verified, {absent[0]} is not here; `make repro` makes it")
            elif committed(metrics):
                run(["-m", f"stages.{stage}"], folder)
        return compare(folder)


def compare(folder):
    """Print, for each metrics file in `folder`, whether it is that of the last commit. Returns the exit code."""
    equal, metrics = True, Path(folder, "metrics")
    for path in sorted([*metrics.glob("*.json"), *metrics.glob("onnx/*.json")]):
        name = str(path.relative_to(metrics).with_suffix(""))
        then, now = committed(name), parsed.json_file(path, parsed.Parsed)
        if then is None:
            continue
        pairs = {key: (then.get(key), now.get(key)) for key in {**then, **now}}
        lines = [f"  {key}: committed {old}, now {new}" for key, (old, new) in pairs.items() if old != new]
        print(f"metrics/{name}.json: {'DIFFERENT' if lines else 'equal'}", *lines, sep="\n")
        if lines:
            equal = False
            print(f"  why that can be: {reasons(PROVENANCE.get(name, name), folder)}")
    return 0 if equal else 1


def reasons(name, folder):
    """In words, what was otherwise when the committed numbers were measured."""
    text, path = git("show", f"HEAD:metrics/provenance/{name}.json"), Path(folder, f"metrics/provenance/{name}.json")
    if text is None or not path.exists():
        return "no provenance is kept beside those numbers"
    then = parsed.json_text(text, f"HEAD:metrics/provenance/{name}.json", parsed.Provenance)
    now = parsed.json_file(path, parsed.Provenance)
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
    return "; ".join([*found, processor()])


def processor():
    """What of this machine no record names, and which may decide last digits."""
    here = machine.describe()
    alone = ", and a single one adds up in another order" if here["cores"] == 1 else ""
    return f"or the processor: this is {here['cpu']} with {here['cores']} cores{alone}; README says what was tested"


def committed(name):
    """metrics/NAME.json in the last commit, or None."""
    text = git("show", f"HEAD:metrics/{name}.json")
    return parsed.json_text(text, f"HEAD:metrics/{name}.json") if text else None


def require_numbers():
    if not committed("evaluate"):
        raise InputError(
            "metrics/evaluate.json was never committed here; "
            "run `make demo` or `make repro`, then commit metrics and dvc.lock"
        )


def run(arguments, folder, code=ROOT):
    """Run Python with these arguments in `folder`, on the project in `code`."""
    if beside.run(arguments, folder, code).returncode:
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
    text = git("show", "HEAD:metrics/provenance/evaluate.json") or "{}"
    recorded = parsed.json_text(text, "HEAD:metrics/provenance/evaluate.json").get("model")
    if not Path("models/effnet.ckpt").exists() or not Path("data/prepared").exists():
        raise InputError(
            "models/effnet.ckpt or data/prepared is not here; `make pull` brings them, `make repro` makes them"
        )
    if recorded and sha256("models/effnet.ckpt") != recorded:
        raise InputError(
            "models/effnet.ckpt is not the model that the committed metrics are of; "
            "`make pull FORCE=1` brings it back, or commit this one's metrics and dvc.lock"
        )
    outs = [out for out in repo.index.outs if str(out) in READ and out.hash_info and out.exists]
    changed = ", ".join(str(out) for out in outs if out.changed_checksum())
    if changed:
        raise InputError(f"{changed} is not what dvc.lock records; `make pull FORCE=1` brings it back")


if __name__ == "__main__":
    errors.run(main)
