"""docs/performance.md's table is made from bench/results.json alone."""

import json
import subprocess
import sys

from tests.conftest import ROOT


def run(*options):
    return subprocess.run([sys.executable, "-m", "bench.run", *options], cwd=ROOT, capture_output=True, text=True)


def test_the_page_holds_the_table_of_the_results():
    before = (ROOT / "docs/performance.md").read_text()
    done = run("--table")
    assert done.returncode == 0, done.stderr
    assert (ROOT / "docs/performance.md").read_text() == before, "the committed page is not of the committed results"
    rows = [line for line in done.stdout.splitlines() if line.startswith("| `")]
    results = json.loads((ROOT / "bench/results.json").read_text())
    for name in ("loader", "prepare", "formats", "train_step", "onnx", "gpu"):
        mine = [row for row in rows if row.startswith(f"| `{name}`")]
        ratio = results.get(name, {}).get("ratio")
        assert mine and (f"| {ratio:.2f} |" in mine[0] if ratio is not None else "not run" in mine[0])


def test_an_unknown_bench_is_named():
    done = run("fast")
    assert done.returncode == 2 and done.stderr.startswith("error: fast: no such bench; there are loader,")
