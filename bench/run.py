"""Run the benchmarks and rewrite the table in docs/performance.md: `make bench`, or `python -m bench.run onnx loader`
for some of them.

Each module's last line of JSON is kept in bench/results.json, so that one can be measured again alone. A result is
refused (exit code 3, nothing of it is kept) where other work disturbed it, and where a side's rate is out of line with
its last record on the same processor: --anew keeps it all the same. A record of another processor that a new one takes
the place of is kept too, and shown below. What cannot run here says why.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from bench import rounds, sides
from bench.rounds import ROOT, Refused
from effnet import errors
from effnet.files import write_json
from effnet.parsed import Parsed, json_file

BENCHES = {  # modules beside this one, and what they measure in words
    "train_step": "a training step of B2 on a CPU",
    "onnx": "the ONNX file of B2 on a CPU",
    "onnx_export": "the ONNX file beside MindSpore's",
    "end_to_end": "JPEG to answer",
    "loader": "training pictures",
    "feed": "pictures that reach a network which takes no time",
    "formats": "reading and writing shards",
    "prepare": "packing; DVC over ImageNet's shards",
    "gpu": "training B2 on one NVIDIA card",
}
RESULTS, PAGE, FED = ROOT / "bench/results.json", ROOT / "docs/performance.md", ROOT / "docs/several-machines.md"
LINE = 1.5  # times faster or slower than the last record that a side may be


def run(name, options):
    """The bench's result, or {"not_run": why}. Raises Refused, and InputError where it fails."""
    if name == "gpu" and not shutil.which("nvidia-smi"):
        return {"not_run": "no NVIDIA card here"}
    # the shell script installs the peers first
    command = ["bench/gpu.sh"] if name == "gpu" else [sys.executable, "-m", f"bench.{name}", *options]
    said = "no message"
    with tempfile.TemporaryFile("w+") as answer:
        with subprocess.Popen(command, cwd=ROOT, stdout=answer, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr:  # passed on as it comes: some of these take minutes
                sys.stderr.write(line)
                said = line.strip() or said
        if process.returncode == 3:
            raise Refused(f"{name}: {said.removeprefix('refused: ')}")
        if process.returncode:
            raise errors.InputError(f"{name}: {said.removeprefix('error: ')}")
        answer.seek(0)
        return json.loads(answer.read().strip().splitlines()[-1])


def rates(found):
    """{(what, whose): rate} of a result."""
    there = [row for row in found.get("rows", []) if "ratio" in row]
    return {(row["what"], who): row[key] for row in there for who, key in (("ours", "ours"), (row["peer"], "theirs"))}


def check_line(name, found, last):
    """Raise Refused where a rate is out of line with the one on record of the same processor."""
    if found.get("machine") != last.get("machine"):
        return
    before = rates(last)
    for (what, who), rate in rates(found).items():
        if was := before.get((what, who)):
            if not 1 / LINE <= rate / was <= LINE:
                raise Refused(
                    f"{name}: {what}, {who}: {rate:g}, but {was:g} on {last['day']} on the same processor; look what "
                    f"else ran here, measure again, and if it is so, keep it by `python -m bench.run --anew {name}`"
                )


class OfAnotherMachine(Parsed):
    """The result.json of bench/gpu.py."""

    bench: Literal["gpu"]
    rows: list[dict]
    versions: dict[str, str]
    machine: str
    day: str


def brought(path):
    found = json_file(path, OfAnotherMachine, "bench/gpu.sh writes it")
    if found is None:
        raise errors.InputError(f"{path}: no such file; bench/gpu.sh says where it left its result.json")
    return found


def keep(results, name, found):
    """Put `found` on record; what was measured on another processor moves to results["others"]."""
    others, last = results.setdefault("others", {}), results.get(name, {})
    if "machine" in last and last["machine"] != found.get("machine"):
        others.setdefault(last["machine"], {})[name] = last
    others.get(found.get("machine"), {}).pop(name, None)
    results[name] = found


def page(results):
    """The page's part: the tables of the newest records, then those of each other processor."""
    parts = [table(results)]
    for machine, found in results.get("others", {}).items():
        if names := [name for name in BENCHES if name in found]:
            parts += [f"The same on another processor, {machine}:", table(found, names)]
    return "\n\n".join(parts)


def table(results, names=tuple(BENCHES)):
    """Two tables: every ratio, the lost ones first and what could not run last; where each bench ran."""
    rows = []
    for name in names:
        what = BENCHES[name]
        found = results.get(name, {"not_run": "not measured yet"})
        for row in found.get("rows") or [{"what": what, "peer": "", "not_run": found.get("not_run")}]:
            rows.append({"bench": name, **row})
    rows.sort(key=lambda row: row["ratio"] / row["goal"] if "ratio" in row else -1 if row.get("held") is False else 1e9)
    ratios = [["bench", "ours", "peer", "ours / peer", "least - most", "goal", "ours, peer's"], ["---"] * 7]
    ratios += [cells(row) for row in rows]
    where = [["bench", "machine", "day", "rounds", "minutes", "cores of others", "MHz", "versions"], ["---"] * 8]
    where += [place(name, results[name]) for name in BENCHES if "machine" in results.get(name, {})]
    tables = [ratios, where] if where[2:] else [ratios]
    return "\n\n".join("\n".join("| " + " | ".join(line) + " |" for line in lines) for lines in tables)


def cells(row):
    first = [f"`{row['bench']}`", row["what"], row["peer"]]
    if "held" in row:
        return [*first, "yes" if row["held"] else "**no**", "", "", row["said"]]
    if "ratio" not in row:
        return [*first, "not run", "", "", row["not_run"]]
    ratio, goal, (low, high) = row["ratio"], row["goal"], row["spread"]
    lost = f"**{ratio:.2f}**" if ratio < goal else f"{ratio:.2f}"
    return [*first, lost, f"{low:.2f} - {high:.2f}", f"{goal:g}", f"{row['ours']:g}, {row['theirs']:g} {row['unit']}"]


def place(name, found):
    during = found.get("load", {}).get("during", {})
    versions = ", ".join(f"{package} {version}" for package, version in found["versions"].items())
    seen = [f"{least:g} - {most:g}" for least, most in filter(None, (during.get("others"), during.get("mhz")))]
    seen += [""] * (2 - len(seen))
    size = [str(found.get(key, "")) for key in ("rounds", "minutes")]
    return [f"`{name}`", found["machine"], found["day"], *size, *seen, versions]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of bench/results.json")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="run nothing, keep what bench/gpu.py wrote elsewhere")
    parser.add_argument("--anew", action="store_true", help="keep rates that are out of line with those on record")
    parser.add_argument("--wait", default="600", help="seconds to wait for a quiet machine, each time")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(BENCHES)):
        raise errors.InputError(f"{', '.join(unknown)}: no such bench; there are {', '.join(BENCHES)}")
    results, bad = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}, []
    if args.keep:
        keep(results, "gpu", brought(args.keep))
        write_json(RESULTS, results)
    for name in [] if args.table or args.keep else args.names or BENCHES:
        print(f"--- {name}", file=sys.stderr)
        try:
            found = run(name, ["--wait", args.wait])
            if not args.anew:
                for records in (results, *results.get("others", {}).values()):
                    check_line(name, found, records.get(name, {}))
        except (Refused, errors.InputError) as why:
            bad.append(why)
            continue
        if "not_run" not in found or "rows" not in results.get(name, {}):
            keep(results, name, found)
            write_json(RESULTS, results)
    sides.write_part(PAGE, "benches", page(results))
    if "rows" in results.get("feed", {}):
        from bench import feed  # it imports MindSpore

        sides.write_part(FED, "feed", feed.cores(results["feed"]))
    print(page(results))
    for why in bad:
        print(f"{'refused' if isinstance(why, Refused) else 'error'}: {why}", file=sys.stderr)
    return 3 if any(isinstance(why, Refused) for why in bad) else 2 if bad else 0


if __name__ == "__main__":
    rounds.program(main)
