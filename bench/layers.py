"""Where the time of the ONNX file goes: B2 at 260 pixels in ONNX Runtime, by kind of operator, float32 beside int8.

    python -m bench.layers [FOLDER] [--rounds 5] [--runs 20]

Milliseconds as ONNX Runtime's own profile counts them, which itself takes some; medians over the rounds. Weights are
random, int8 is calibrated with JPEGs of FOLDER, as in bench/onnx.py. Writes its part of docs/performance.md.
"""

import json
import os
import statistics
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from bench import onnx, rounds, sides

PAGE = rounds.ROOT / "docs/performance.md"
SIDES = {"float32": onnx.FLOAT32, "int8": onnx.INT8}
SHOWN = 8  # kinds of operators that have a row of their own


def main():
    parser = rounds.arguments(__doc__, folder=True)
    parser.add_argument("--runs", type=rounds.positive, default=20, help="of each side in each round")
    args = parser.parse_args()
    if args.side == "files":
        onnx.ours(args.scratch / onnx.FLOAT32)
        onnx.quantize(args.scratch, args.folder, 2 if args.tiny else onnx.CALIBRATION)
        print("{}")
    elif args.side:
        print(json.dumps(profile(args.scratch / SIDES[args.side], args.case["batch"], args.runs)))
    else:
        write(measured(args), 1 if args.tiny else args.rounds, not args.tiny)


def measured(args):
    """`{"int8, batch 8": [Counter of milliseconds by kind of operator, for each round]}`."""
    turns, found = rounds.Turns("bench.layers", args), {}
    with tempfile.TemporaryDirectory() as scratch:
        turns.prepare("files", also=[args.folder, "--scratch", scratch])
        for batch in onnx.BATCHES[:1] if args.tiny else onnx.BATCHES:
            answers = turns(SIDES, {"batch": batch}, ["--scratch", scratch, "--runs", args.runs])
            found |= {f"{side}, batch {batch}": list(map(Counter, answers[side])) for side in SIDES}
    return found


def profile(path, batch, runs):
    """Milliseconds a batch by kind of operator."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = len(os.sched_getaffinity(0)), 3
    options.enable_profiling, options.profile_file_prefix = True, str(path)
    session = onnxruntime.InferenceSession(str(path), options)
    image = np.random.default_rng(0).standard_normal((batch, 3, onnx.SIZE, onnx.SIZE), np.float32)
    for _ in range(runs):
        session.run(None, {"image": image})
    found = Counter()
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            found[event["args"]["op_name"]] += event["dur"] / 1000 / runs
    return found


def write(found, rounds_, keep):
    about = rounds.describe()
    text = f"{about['cpu']}, {about['cores']} threads, medians of {rounds_} rounds:\n\n{table(found)}"
    print(text, flush=True)
    if keep:
        sides.write_part(PAGE, "layers", text)


def table(found):
    """Kinds of operators by what they take in all, the rest in one row, the sum last."""
    kinds = sorted({kind for answers in found.values() for answer in answers for kind in answer})
    middle = {
        name: {kind: statistics.median(answer[kind] for answer in answers) for kind in kinds}
        for name, answers in found.items()
    }
    kinds.sort(key=lambda kind: -sum(of[kind] for of in middle.values()))
    rows = [[kind, *(of[kind] for of in middle.values())] for kind in kinds[:SHOWN]]
    rows += [["others", *(sum(of[kind] for kind in kinds[SHOWN:]) for of in middle.values())]]
    rows += [["all", *(sum(of.values()) for of in middle.values())]]
    lines = [["ms a batch", *found], ["---"] * (1 + len(found))]
    lines += [[name, *(f"{value:.2f}" for value in values)] for name, *values in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    rounds.program(main)
