"""How many pictures a second reach a network that takes no time, on one rank and on eight.

    python -m bench.feed [FOLDER] [--rounds 5] [--steps 6] [--batch 256]

FOLDER holds JPEGs, at any depth. There is no peer but the rates aimed at. Each rank is a process that does what
training does beside the network: decodes its share of each global batch in as many threads as it would there, draws
its masks, makes MindSpore's tensors; on all cores, and once on one of them. Python's share of a step is the processor
time of the thread that training runs in: what a device would wait for if it were done. Ranks share the cores at hand
and begin together, so eight say what one machine feeds in all. What was decoded ahead by then does not count.
"""

import json
import os
import subprocess
import sys
import time

import effnet.network  # noqa: F401 - sets MindSpore's environment
from bench import rounds
from bench.loader import Files
from bench.onnx import jpegs
from bench.rounds import ROOT, each
from effnet import errors, recipe
from effnet.data import loader, presets
from effnet.devices import machine
from effnet.network.ranks import Ranks
from effnet.training import feed as training_feed
from effnet.training import step

KINDS = {"crop_and_flip": {"auto_augment": "", "color_jitter": (0.0, 0.0, 0.0)}, "whole_recipe": {}}
CASES = {  # kind, ranks, of two cores how many: the rate aimed at, images/s
    ("crop_and_flip", 1, 2): 1000,
    ("whole_recipe", 1, 2): 600,
    ("whole_recipe", 8, 2): 600,
    ("whole_recipe", 1, 1): 900,
}
BUSY = 10  # milliseconds a step that the training thread may spend
WARM = 2  # first steps that do not count, before all begin and after: so many batches wait ready then
DEVICES, EACH = 8, (250, 1000, 2500)  # devices of a machine, and the images a second that one may take


def settings(kind, batch):
    """recipes/ascend8.yaml with drop connect, `batch` pictures in a global batch, and what `kind` does to a picture."""
    full = recipe.load(ROOT / "recipes/ascend8.yaml")
    sections = {
        "augment": full.augment.model_copy(update=KINDS[kind]),
        "data": full.data.model_copy(update={"batch_size": batch}),
        "model": full.model.model_copy(update={"drop_connect": 0.2}),
    }
    return full.model_copy(update=sections)


def feed(folder, kind, ranks, batch, steps):
    """[images of this rank, seconds, seconds of the main thread's processor time] over `steps` steps."""
    params = settings(kind, batch * ranks.count)
    sources = jpegs(folder)
    if not sources:
        raise errors.InputError(f"{folder}: no JPEGs in this folder; name one that has some")
    needed = params.data.batch_size * (steps + 2 * WARM)
    data = Files([sources[i % len(sources)] for i in range(needed)])
    preset = presets.train_preset(params.model.image_size, params.augment, seed=1)
    where = {"rank": ranks.rank, "ranks": ranks.count, "workers": machine.cores_for(ranks.count)}
    batches = loader.train_batches(data, preset, params.data.batch_size, 0, 1, **where)
    for number, (share, masks) in enumerate(training_feed.with_masks(batches, params, 0, 0, ranks)):
        step.tensors(share, masks)
        if number == WARM - 1:
            print("ready", flush=True)
            sys.stdin.readline()
        if number == 2 * WARM - 1:
            began, busy = time.perf_counter(), time.thread_time()
    return [steps * batch, time.perf_counter() - began, time.thread_time() - busy]


def side(folder, kind, count, batch, steps):
    """{"rate": images/s of all `count` ranks together, "ms": Python's milliseconds a step, of the slowest}."""
    common = [sys.executable, "-m", "bench.feed", str(folder), "--batch", str(batch), "--steps", str(steps)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen([*common, "--one", kind, str(rank), str(count)], cwd=ROOT, **pipes) for rank in range(count)
    ]
    for process in started:
        process.stdout.readline()  # it is ready
    for process in started:
        process.stdin.close()
        process.stdin = None  # communicate() would write to it
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise errors.InputError(f"{folder}: a rank could not be fed; its message is above")
    found = [json.loads(text) for text in said]
    rate = sum(images / seconds for images, seconds, _ in found)
    return {"rate": rate, "ms": max(busy for *_, busy in found) / steps * 1000}


def cores(found):
    """The page's table of a result: the cores of such a machine that feed DEVICES devices."""
    ours, here = {row["what"]: row["ours"] for row in found["rows"]}, found["measured"]["cores"]
    one = [name for name in ours if name.endswith("ranks: 1")]
    lines = [["images a second that each takes", *(name.split(", ")[1] for name in one)], ["---"] * (1 + len(one))]
    lines += [[f"{rate:,}", *(f"{DEVICES * rate * here / ours[name]:.1f}" for name in one)] for rate in EACH]
    share = min(ours[name] for name in ours if name.startswith("steps"))
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    rows += ["", f"The training thread itself works {1000 / share:.1f} ms for a step of {found['measured']['batch']}"]
    return "\n".join(rows) + ": all that MindSpore's data sink could save."


def main():
    parser = rounds.arguments(__doc__, folder=True)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=256, help="pictures of one rank's share of a step")
    parser.add_argument("--cores", type=int, help=rounds.HIDDEN)
    parser.add_argument("--one", nargs=3, metavar=("KIND", "RANK", "RANKS"), help=rounds.HIDDEN)
    args = parser.parse_args()
    if args.one:
        kind, rank, count = args.one
        print(json.dumps(feed(args.folder, kind, Ranks(int(rank), int(count)), args.batch, args.steps)))
        return 0
    if args.side:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
        count = args.case
        print(json.dumps(side(args.folder, args.side, count, args.batch, max(3, args.steps // count))))
        return 0
    turns, rows = rounds.Turns("bench.feed", args), []
    size = ["--steps", 2, "--batch", 16] if args.tiny else ["--steps", args.steps, "--batch", args.batch]
    for (kind, count, cores), goal in CASES.items():
        count = min(count, 2) if args.tiny else count
        found = turns([kind], count, [args.folder, "--cores", cores, *size])[kind]
        which, number = (f"ranks: {count}", "two cores") if cores == 2 else ("a single core", "one core")
        what = f"pictures fed to training, {kind.replace('_', ' ')}, {which}"
        rows.append(rounds.row(what, f"the rate aimed at on {number}", each(found), [goal] * len(found)))
        if count == 1 and cores == 2:
            steps_a_second = [1000 / ms for ms in each(found, "ms")]
            what = f"steps of the training thread's own work, {kind.replace('_', ' ')}"
            aim = [1000 / BUSY] * len(found)
            rows.append(
                rounds.row(what, f"those of {BUSY} ms, the most it may take", steps_a_second, aim, unit="steps/s")
            )
    measured = {"batch": args.batch, "cores": len(os.sched_getaffinity(0))}
    print(json.dumps(turns.result("feed", rows, ("mindspore", "numpy", "pillow"), **measured)))
    return 0


if __name__ == "__main__":
    rounds.program(main)
