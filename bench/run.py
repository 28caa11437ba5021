"""Run the benchmarks and rewrite the table in docs/performance.md: `make bench`, or `python -m bench.run onnx loader`
for some of them.

Each module's last line of JSON is kept in bench/results.json with the machine and the day, so that one can be measured
again alone. What cannot run here stays in the table as "not run", with the reason, unless an older measurement is on
record.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from effnet import errors
from effnet.devices.machine import describe
from effnet.files import whole, write_json

ROOT = Path(__file__).parents[1]
BENCHES = {  # modules beside this one, and what they measure in words
    "loader": "training pictures per second",
    "prepare": "packing; `dvc status` over ImageNet",
    "formats": "reading shards in random order",
    "train_step": "a training step of B2",
    "onnx": "the ONNX graph of B2",
    "gpu": "training B2 on one NVIDIA card",
}
RESULTS, PAGE = ROOT / "bench/results.json", ROOT / "docs/performance.md"


def run(name):
    """The bench's result with machine and day, or {"not_run": why}."""
    if name == "gpu" and not shutil.which("nvidia-smi"):
        return {"not_run": "no NVIDIA card here"}
    # the shell script installs the peers first
    command = ["bench/gpu.sh"] if name == "gpu" else [sys.executable, "-m", f"bench.{name}"]
    said = "no message"
    with tempfile.TemporaryFile("w+") as answer:
        with subprocess.Popen(command, cwd=ROOT, stdout=answer, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr:  # passed on as it comes: some of these take minutes
                sys.stderr.write(line)
                said = line.strip() or said
        if process.returncode:
            return {"not_run": said.removeprefix("error: ")}
        answer.seek(0)
        found = json.loads(answer.read().strip().splitlines()[-1])
    machine = describe()
    return found | {"machine": f"{machine['cpu']}, {machine['cores']} cores", "day": date.today().isoformat()}


def rows(results):
    """Cells of the table: a row for each bench's own ratio, and one for each other in `measured` with a goal beside."""
    for name, what in BENCHES.items():
        found = results.get(name, {"not_run": "not yet"})
        if "not_run" in found:
            yield [f"`{name}`: {what}", "not run", "", found["not_run"], ""]
            continue
        where = f"{found['machine']}, {found['day']}"
        yield [f"`{name}`: {what}", figure(found["ratio"]), figure(found["goal"]), found["peer"], where]
        measured = found["measured"]
        for key, ratio in measured.items():
            if (goal := measured.get(f"{key}_goal")) is not None:
                yield [f"`{name}`: {key.replace('_', ' ')}", figure(ratio), figure(goal), "", where]


def figure(value):
    if isinstance(value, dict):  # by batch or by number of workers
        return ", ".join(f"{key.replace('_', ' ')}: {figure(v)}" for key, v in value.items())
    return f"{value:.2f}" if isinstance(value, (int, float)) else str(value)


def table(results):
    lines = [["bench", "ours / peer", "goal", "peer", "machine, day"], ["---"] * 5, *rows(results)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of bench/results.json")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(BENCHES)):
        raise errors.InputError(f"{', '.join(unknown)}: no such bench; there are {', '.join(BENCHES)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in [] if args.table else args.names or BENCHES:
        print(f"--- {name}", file=sys.stderr)
        found = run(name)
        if "not_run" not in found or name not in results:
            results[name] = found
        write_json(RESULTS, results)
    place = re.compile(r"(<!-- benches -->\n).*?(<!-- end -->)", re.S)
    text = place.sub(lambda found: f"{found[1]}{table(results)}\n{found[2]}", PAGE.read_text())
    with whole(PAGE, "w") as file:
        file.write(text)
    print(table(results))
    return 0


if __name__ == "__main__":
    errors.run(main)
