"""Sides in turns, each a process of its own that is alone on a quiet machine, and what else ran meanwhile.

A process that waits or stands still beside others measures otherwise than one that is alone: so each side is started,
warms up, measures and ends before the next one begins. What other programs (and the machine's host) take of our cores
is what the kernel counts as busy less what our own processes used.
"""

import argparse
import importlib.metadata
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import psutil

from effnet import errors
from effnet.devices.machine import describe

ROOT = Path(__file__).parents[1]
PICTURES = ROOT.parent / "shared/data/imagenet100"  # JPEGs, unless a folder is named
BOUND = 0.15  # cores that others may take, on average, while a side runs
HIDDEN = argparse.SUPPRESS
KERNEL = 2  # parent of the kernel's threads
TRIES = 3  # of a side in a round, before other work on the machine is too much
LOOK = 0.5  # seconds that the machine is watched before each process


class Refused(Exception):
    """What was measured, or would be, is not to be believed: why, in one sentence."""


def program(main):
    """Run a bench's main(); a refusal is one sentence and exit code 3."""

    def refusing():
        try:
            return main()
        except Refused as why:
            print(f"refused: {why}", file=sys.stderr)
            return 3

    errors.run(refusing)


def arguments(doc, folder=False):
    """The parser of a bench. `--side`, `--case` and `--scratch` are what it gives its own processes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if folder:
        parser.add_argument("folder", nargs="?", type=Path, default=PICTURES, help=f"JPEGs (default: {PICTURES})")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--wait", type=float, default=600, help="seconds to wait for a quiet machine, each time")
    parser.add_argument("--tiny", action="store_true", help="one round of next to nothing, whatever else runs")
    parser.add_argument("--side", help=HIDDEN)
    parser.add_argument("--case", type=json.loads, help=HIDDEN)
    parser.add_argument("--scratch", type=Path, help=HIDDEN)
    return parser


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def processor():
    """(seconds that our cores were busy, seconds of them that were ours, the time). Ours: this process, its ended
    children, and the kernel's threads, which write what we wrote.
    """
    cores, times = os.sched_getaffinity(0), psutil.cpu_times(percpu=True)
    busy = sum(t.user + t.nice + t.system + t.irq + t.softirq + t.steal for n, t in enumerate(times) if n in cores)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    kernel = [p.info["cpu_times"] for p in psutil.process_iter(["ppid", "cpu_times"]) if p.info["ppid"] == KERNEL]
    ours = sum(u.ru_utime + u.ru_stime for u in used) + sum(t.system for t in kernel if t)
    return busy, ours, time.monotonic()


def others(before, after):
    """Cores that others took between two answers of processor()."""
    busy, ours, seconds = (b - a for a, b in zip(before, after, strict=True))
    return max(0.0, busy - ours) / seconds


def busiest(seconds):
    """The other process that worked most in so many seconds: "name (pid)"."""
    mine = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    before = {p: sum(p.info["cpu_times"][:2]) for p in psutil.process_iter(["cpu_times"]) if p.info["cpu_times"]}
    time.sleep(seconds)
    worked = [
        (sum(p.info["cpu_times"][:2]) - before.get(p, 0), p.info["name"], p.pid)
        for p in psutil.process_iter(["cpu_times", "name"])
        if p.info["cpu_times"] and p.pid not in mine
    ]
    _, name, pid = max(worked, default=(0, "nobody", 0))
    return f"{name} ({pid})"


class Turns:
    """The rounds of one bench: `module` runs its sides as `python -m module --side NAME --case JSON`."""

    def __init__(self, module, args):
        self.module, self.args, self.began = module, args, time.monotonic()
        self.rounds = 1 if args.tiny else args.rounds
        self.quiet()
        self.before, self.during = look(LOOK), []

    def __call__(self, sides, case=None, also=()):
        """{side: [what it answered, by round]}. `case`: what JSON can hold; `also`: more of the command line."""
        found = {side: [] for side in sides}
        for number in range(self.rounds):
            for side in sides:
                found[side].append(self.once(side, case, also))
                said = ", ".join(f"{k} {v:.4g}" for k, v in found[side][-1].items() if isinstance(v, (int, float)))
                print(f"{json.dumps(case)} round {number + 1}, {side}: {said}", file=sys.stderr, flush=True)
        return found

    def once(self, side, case=None, also=()):
        """What the side answers, alone on a quiet machine. Raises Refused where that was not to be had."""
        for _ in range(TRIES):
            self.quiet()
            answer, seen = self.process(side, case, also)
            took = seen[-1]["others"]
            if took <= BOUND or self.args.tiny:
                self.during += seen
                return answer
            print(f"{side}: others took {took:.2f} cores meanwhile; once more", file=sys.stderr, flush=True)
        raise Refused(
            f"{side}: others took {took:.2f} cores while it ran, {TRIES} times more than {BOUND}; end what else runs"
        )

    def process(self, side, case=None, also=()):
        """(what the side answers in a process of its own, what was seen each second meanwhile)."""
        command = [sys.executable, "-m", self.module, "--side", side, "--case", json.dumps(case), *map(str, also)]
        command += ["--tiny"] if self.args.tiny else []
        before, seen = processor(), []
        with tempfile.TemporaryFile("w+") as said:
            with subprocess.Popen(command, cwd=ROOT, stdout=said) as process:
                while not seen or process.poll() is None:
                    seen.append(frequency_and_load())
                    waited(process, 1)
            took = others(before, processor())
            said.seek(0)
            lines = said.read().splitlines()
        if process.returncode:
            raise errors.InputError(f"{side}: failed, its message is above (`make bench` installs the peers)")
        return json.loads(lines[-1]), [{"others": round(took, 3), **moment} for moment in seen]

    def prepare(self, side, case=None, also=()):
        """The same before the rounds, for what is not measured: files are made once, whatever else runs."""
        return self.process(side, case, also)[0]

    def quiet(self):
        """Return when nothing else takes more than BOUND cores."""
        began, said = time.monotonic(), False
        while not self.args.tiny and (took := look(LOOK)["others"]) > BOUND:
            found = f"others take {took:.2f} cores of this machine, over {BOUND}, most of all {busiest(1)}"
            if time.monotonic() - began > self.args.wait:
                raise Refused(f"{found}, after {self.args.wait:.0f} s of waiting; end them, or wait longer with --wait")
            if not said:
                print(f"waiting for a quiet machine: {found}", file=sys.stderr, flush=True)
            said = True

    def result(self, bench, rows, packages, **measured):
        """What is kept of a bench: its rows and all that decides how far they may be believed."""
        after, about = look(LOOK), describe()
        for row in rows:
            print(spoken(row), file=sys.stderr)
        return {
            "bench": bench,
            "ratio": min((row["ratio"] for row in rows if "ratio" in row), default=None),
            "rows": rows,
            "measured": measured,
            "versions": {name: importlib.metadata.version(name) for name in packages},
            "machine": f"{about['cpu']}, {about['cores']} cores",
            "day": date.today().isoformat(),
            "rounds": self.rounds,
            "minutes": round((time.monotonic() - self.began) / 60, 1),
            "load": {"bound": BOUND, "before": self.before, "during": extremes(self.during), "after": after},
        }


def waited(process, seconds):
    """Wait for a process, so many seconds at most."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def look(seconds):
    """{"others": cores that others take, "load": the average of a minute, "mhz": of the cores} now."""
    before = processor()
    time.sleep(seconds)
    return {"others": round(others(before, processor()), 3), **frequency_and_load()}


def frequency_and_load():
    frequency = psutil.cpu_freq()
    return {"load": round(os.getloadavg()[0], 2), "mhz": round(frequency.current) if frequency else None}


def extremes(moments):
    """{key: [least, largest]} of what was seen."""
    seen = {key: [m[key] for m in moments if m[key] is not None] for key in ("others", "load", "mhz")}
    return {key: [min(values), max(values)] if values else None for key, values in seen.items()}


def row(what, peer, mine, theirs, goal=1.0, unit="images/s"):
    """A line of the table: ours over the peer's, more being better. `mine`, `theirs`: rates by round."""
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    return {
        "what": what,
        "peer": peer,
        "ratio": round(statistics.median(ratios), 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "goal": goal,
        "ours": float(f"{statistics.median(mine):.4g}"),
        "theirs": float(f"{statistics.median(theirs):.4g}"),
        "unit": unit,
    }


def absent(what, peer, why):
    """A line of what cannot be measured here."""
    return {"what": what, "peer": peer, "not_run": why}


def verdict(what, peer, held, said):
    """A line of what is right or wrong, and no rate."""
    return {"what": what, "peer": peer, "held": bool(held), "said": said}


def spoken(row):
    if "held" in row:
        return f"{row['what']} {row['peer']}: {'yes' if row['held'] else 'NO'}, {row['said']}"
    if "not_run" in row:
        return f"{row['what']} / {row['peer']}: not run, {row['not_run']}"
    low, high = row["spread"]
    return (
        f"{row['what']} / {row['peer']}: {row['ratio']:.2f} ({low:.2f} - {high:.2f}), goal {row['goal']}; "
        f"{row['ours']:g} and {row['theirs']:g} {row['unit']}"
    )


def each(answers, key="rate"):
    """One figure of a side's answers, by round."""
    return [answer[key] for answer in answers]


def repeat(work, seconds, least=2):
    """Calls of work() a second, over at least so many seconds and calls."""
    count, began = 0, time.perf_counter()
    while count < least or time.perf_counter() - began < seconds:
        work()
        count += 1
    return count / (time.perf_counter() - began)
