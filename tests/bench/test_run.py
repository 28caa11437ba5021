"""docs/performance.md's table is made from bench/results.json alone, and what is not to be believed is not kept."""

import json
import os
import subprocess
import sys

import pytest

from bench import feed, rounds, run
from tests.conftest import ROOT


def call(*options):
    return subprocess.run([sys.executable, "-m", "bench.run", *options], cwd=ROOT, capture_output=True, text=True)


def test_the_page_holds_the_table_of_the_results():
    before = {page: page.read_text() for page in (run.PAGE, run.FED)}
    done = call("--table")
    assert done.returncode == 0, done.stderr
    assert before == {page: page.read_text() for page in before}, "a committed page is not of the committed results"
    results = json.loads((ROOT / "bench/results.json").read_text())
    for name in run.BENCHES:
        mine = [line for line in done.stdout.splitlines() if line.startswith(f"| `{name}` | ")]
        assert len(mine) >= len(results.get(name, {}).get("rows", "1"))


def test_the_cores_that_feed_eight_devices_by_hand():
    """Two cores feed 1,600 and 800 pictures a second, so a core 800 and 400; eight devices at 250 take 2,000."""
    rates = {"pictures fed to training, crop and flip, ranks: 1": 1600, "steps of the training thread's own work": 500}
    rates |= {"pictures fed to training, whole recipe, ranks: 1": 800, "pictures fed to training, x, ranks: 8": 9}
    rows = [{"what": what, "ours": ours} for what, ours in rates.items()]
    lines = feed.cores({"rows": rows, "measured": {"batch": 64, "cores": 2}}).splitlines()
    assert lines[0] == "| images a second that each takes | crop and flip | whole recipe |"
    assert lines[2:5] == ["| 250 | 2.5 | 5.0 |", "| 1,000 | 10.0 | 20.0 |", "| 2,500 | 25.0 | 50.0 |"]
    assert "works 2.0 ms for a step of 64" in lines[-1]


def test_an_unknown_bench_is_named():
    done = call("fast")
    assert done.returncode == 2 and done.stderr.startswith("error: fast: no such bench; there are train_step,")


def record(*rows, day="2026-01-02", machine="this one"):
    return {"machine": machine, "day": day, "rows": list(rows), "versions": {}}


def test_lost_ones_first_and_what_did_not_run_last():
    won = rounds.row("a", "b", [4, 9, 6], [2, 3, 6])  # by hand: 2, 3, 1 of which 2 is the middle
    lost = rounds.row("c", "d", [3], [4], unit="steps/s")
    short = rounds.row("e", "f", [1.2], [1], goal=1.5)
    results = {"onnx": record(won, rounds.absent("g", "h", "no card")), "feed": record(lost, short)}
    lines = [line for line in run.table(results).splitlines() if line.startswith(("| `onnx`", "| `feed`"))]
    assert lines[:4] == [
        "| `feed` | c | d | **0.75** | 0.75 - 0.75 | 1 | 3, 4 steps/s |",
        "| `feed` | e | f | **1.20** | 1.20 - 1.20 | 1.5 | 1.2, 1 images/s |",
        "| `onnx` | a | b | 2.00 | 1.00 - 3.00 | 1 | 6, 3 images/s |",
        "| `onnx` | g | h | not run |  |  | no card |",
    ]


def test_a_rate_out_of_line_with_its_last_record_is_refused():
    last = record(rounds.row("a", "b", [10], [10]))
    run.check_line("onnx", record(rounds.row("a", "b", [14.9], [6.8])), last)
    run.check_line("onnx", record(rounds.row("a", "b", [1], [1]), machine="another"), last)
    for mine, theirs, who in (([10], [6.6], "b"), ([15.1], [10], "ours")):
        with pytest.raises(rounds.Refused, match=f"onnx: a, {who}: .* 10 on 2026-01-02"):
            run.check_line("onnx", record(rounds.row("a", "b", mine, theirs)), last)


def test_the_record_of_another_processor_is_kept_and_shown_below():
    results, rates = {}, {"old": 10, "new": 20}
    for machine, rate in rates.items():
        run.keep(results, "onnx", record(rounds.row("a", "b", [rate], [10]), machine=machine))
    assert results["onnx"]["machine"] == "new" and list(results["others"]) == ["old"]
    newest, older = run.page(results).split("The same on another processor, old:")
    assert "| 2.00 |" in newest and "| 1.00 |" in older and "not measured yet" not in older
    run.keep(results, "onnx", record(rounds.row("a", "b", [11], [10]), machine="old"))
    assert results["onnx"]["machine"] == "old" and list(results["others"]["new"]) == ["onnx"]
    assert "another processor, old" not in run.page(results)


def test_nothing_is_recorded_beside_a_busy_process():
    before = (ROOT / "bench/results.json").read_bytes()
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        done = call("formats", "--wait", "0")
    finally:
        busy.kill()
        busy.wait()
    assert done.returncode == 3 and (ROOT / "bench/results.json").read_bytes() == before
    assert "\nrefused: formats: others take " in done.stderr and "end them" in done.stderr


def test_what_others_take_is_told_from_what_we_do():
    """A child that is waited for is ours, one that still runs is not; bounds are of one core against a tenth."""
    program = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"
    before = rounds.processor()
    subprocess.run([sys.executable, "-c", program.format(1)], check=True)
    busy, ours, _ = (b - a for a, b in zip(before, rounds.processor(), strict=True))
    assert 1 <= ours < 3 and busy >= 0.9
    other = subprocess.Popen([sys.executable, "-c", program.format(60)])
    try:
        before = rounds.processor()
        while float(os.popen(f"ps -o cputimes= -p {other.pid}").read()) < 2:
            pass
        took = rounds.others(before, rounds.processor())
    finally:
        other.kill()
        other.wait()
    assert took > rounds.BOUND / 2
