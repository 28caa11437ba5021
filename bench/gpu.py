"""EfficientNet-B2 at 260 pixels on one NVIDIA card, what is sure first: ONNX Runtime against PyTorch and torch.compile,
PyTorch's training, whether the cores feed that; then MindSpore: does it start, is it right, how fast, the demo.

    python -m bench.gpu [--parts PART ...] [--minutes 25] [--out FOLDER]

bench/gpu.sh prepares the environments and calls this. Every part (bench/gpu_parts.py) is a process of its own, because
CUDA 11 (MindSpore), CUDA 12 (ONNX Runtime) and PyTorch's CUDA do not share one. FOLDER holds what each of them said,
and result.json, which is whole after every part: `python -m bench.run --keep FOLDER/result.json` puts it into
docs/performance.md, on whatever machine. `--device CPU --tiny` goes through all of it without a card.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from bench import rounds
from bench.gpu_parts import PARTS, WINDOWS
from effnet import errors
from effnet.devices import cuda
from effnet.devices.messages import CONTEXT, message_for, picture_bytes
from effnet.errors import InputError
from effnet.files import write_json
from effnet.recipe import load

ROOT = Path(__file__).parents[1]
OF_TORCH = {"infer_torch", "train_torch"}  # parts that another interpreter runs
OF_MINDSPORE = {"twenty_steps", "train_mindspore", "demo"}
AMP, UNASKED = "PyTorch AMP channels_last", "not asked for"
CHECKS = {
    "start": "MindSpore's plugin starts",
    "twenty_steps": "twenty training steps are the float64 reference's",
    "demo": "the demo, all runtimes in parity",
}


def plan(args):
    """[(part, which of its kind, seconds it may take)], in their order."""
    providers = ("CUDA", "TensorRT") if args.device == "GPU" else ("CPU",)
    infer = [("infer_onnx", {"provider": providers[0]}, 120), ("infer_torch", {"compiled": False}, 120)]
    infer += [("infer_onnx", {"provider": name}, 240) for name in providers[1:]]
    infer += [("infer_torch", {"compiled": True}, 240)]
    parts = [("export", {}, 60)]
    parts += [(part, case | {"tf32": tf32}, seconds) for part, case, seconds in infer for tf32 in (False, True)]
    parts += [("train_torch", {}, 120), ("fed", {}, 120), ("start", {}, 300), ("twenty_steps", {}, 240)]
    parts += [("train_mindspore", {}, 300), ("train_torch", {}, 120), ("train_mindspore", {}, 300), ("demo", {}, 600)]
    return [step for step in parts if step[0] in ("export", *args.parts)]


def carried_out(args):
    """[{"part", "case", what it answered or "failed": why}] of the plan; result.json is written after each."""
    deadline, found = args.began + 60 * args.minutes, []
    for number, (part, case, seconds) in enumerate(plan(args)):
        began, log = time.monotonic(), Path(args.out, f"{number:02d}_{part}.log")
        if why := hopeless(part, found):
            outcome = {"failed": why}
        elif began >= deadline:
            outcome = {"failed": f"not reached in {args.minutes:g} minutes"}
        else:
            outcome = process(part, case, min(seconds, deadline - began), log, args)
        found.append({"part": part, "case": case, **outcome})
        said = outcome.get("failed") or f"{time.monotonic() - began:.0f} s"
        print(f"{part} {' '.join(f'{k} {v}' for k, v in case.items())}: {said}", file=sys.stderr, flush=True)
        write_json(Path(args.out, "result.json"), result(found, args))
    return found


def hopeless(part, found):
    """Why a part that is nothing without MindSpore's plugin need not be tried; empty if it may."""
    started = [each for each in found if each["part"] == "start"]
    return started[0].get("failed", "") if started and part in OF_MINDSPORE else ""


def process(part, case, seconds, log, args):
    """What a part answers in a process of its own, or {"failed": why}; what it says goes to the file `log`."""
    command = [args.torch_python if part in OF_TORCH else sys.executable, "-m", "bench.gpu", "--part", part]
    command += ["--case", json.dumps(case), "--device", args.device, "--batch", str(args.batch), "--onnx", args.onnx]
    command += ["--pictures", args.pictures] if args.pictures else []
    command += ["--tiny"] if args.tiny else []
    code, lines, said = call(command, max(1, seconds), log)
    if code is None:
        late = f"still not done after {seconds:.0f} s"
        return json.loads(lines[-1]) | {"late": late} if lines else {"failed": late}
    if code:
        last = (said.splitlines() or [f"exit code {code}"])[-1]
        return {"failed": f"{message_for(said) or last.removeprefix('error: ')} ({log.name})"}
    return json.loads(lines[-1])


def call(command, seconds, log):
    """(exit code or None where time ran out, lines of standard output, what went to standard error and `log`); nothing
    that it started lives on.
    """
    with open(log, "w+") as said:
        pipes = {"stdout": subprocess.PIPE, "stderr": said, "text": True, "start_new_session": True}
        with subprocess.Popen(command, cwd=ROOT, **pipes) as running:
            try:
                answer, _ = running.communicate(timeout=seconds)
                code = running.returncode
            except subprocess.TimeoutExpired:
                code = None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(running.pid, signal.SIGKILL)
            if code is None:
                answer, _ = running.communicate()
        said.seek(0)
        return code, answer.splitlines(), said.read().strip()


def rows(found, args):
    """The lines of docs/performance.md: what was faster, what was near enough, and what could not run, and why."""
    lines, here = [], f"{args.variant} at {args.size}"
    for provider in dict.fromkeys(case["provider"] for part, case, _ in plan(args) if part == "infer_onnx"):
        for tf32 in (False, True):
            mine = answer(found, "infer_onnx", provider=provider, tf32=tf32)
            name = f"ONNX Runtime, {provider}, TF32 {'on' if tf32 else 'off'}"
            for batch in args.batches:
                for peer, compiled in (("PyTorch", False), ("PyTorch, torch.compile", True)):
                    theirs = answer(found, "infer_torch", compiled=compiled, tf32=tf32)
                    what = f"{name}, {here}, batch {batch}"
                    lines.append(row(what, peer, of_batch(mine, batch), of_batch(theirs, batch)))
            if "off" in mine:
                ran = "".join(f", {count} nodes by {who}" for who, count in mine.get("nodes", {}).items())
                said = f"{mine['off']:.2g} of a logit off, limit {mine['limit']:g}{ran}"
                lines.append(rounds.verdict(f"{name}: its logits", "the CPU's", mine["off"] <= mine["limit"], said))
    mine, theirs, fed = (answer(found, part) for part in ("train_mindspore", "train_torch", "fed"))
    lines.append(row(f"training {here}, batch {args.batch}, mixed precision", AMP, mine, theirs))
    lines.append(row(f"pictures fed by {args.cores} cores, whole recipe", AMP, fed, theirs))
    for part, what in CHECKS.items():
        mine = answer(found, part)
        if "failed" in mine:
            lines.append(rounds.absent(what, "", mine["failed"]))
        else:
            said = ", ".join(f"{key} {value}" for key, value in mine.items() if key not in ("part", "case", "passed"))
            lines.append(rounds.verdict(what, "", mine.get("passed", True), said))
    return [line for line in lines if line.get("not_run") != UNASKED]


def answer(found, part, **case):
    """What a part answered, the rates of its turns in one list, or {"failed": why}."""
    turns = [each for each in found if each["part"] == part and each["case"] == case]
    good = [each for each in turns if "failed" not in each]
    if len(good) > 1:
        return good[-1] | {"rates": [rate for each in good for rate in each["rates"]]}
    return (good or turns or [{"failed": UNASKED}])[0]


def of_batch(side, batch):
    """A part's answer for a batch of so many."""
    if "failed" in side:
        return side
    return {"rates": side["rates"][str(batch)]} if str(batch) in side["rates"] else {"failed": side["late"]}


def row(what, peer, mine, theirs):
    for side in (mine, theirs):
        if "failed" in side:
            return rounds.absent(what, peer, side["failed"])
    pairs = list(zip(mine["rates"], theirs["rates"], strict=False))  # a turn may be missing
    return rounds.row(what, peer, *zip(*pairs, strict=True))


def result(found, args):
    version, cards = cuda.driver() if args.device == "GPU" else ((), [])
    packages = ("mindspore", "onnxruntime", "onnxruntime-gpu", "numpy")
    versions = {d.name: d.version for d in importlib.metadata.distributions() if d.name in packages}
    versions |= {key: value for each in found for key, value in each.items() if key == "torch"}
    versions |= {"driver's CUDA": ".".join(map(str, version))} if cards else {}
    lines = rows(found, args)
    return {
        "bench": "gpu",
        "ratio": min((line["ratio"] for line in lines if "ratio" in line), default=None),
        "rows": lines,
        "measured": found,
        "versions": versions,
        "machine": f"{cards[0].name if cards else 'no card'}, {args.cores} cores",
        "day": date.today().isoformat(),
        "rounds": 1 if args.tiny else WINDOWS,
        "minutes": round((time.monotonic() - args.began) / 60, 1),
    }


def batch_that_fits(args):
    """The recipe's 128 on one card, or the largest power of two that its memory holds, for both sides."""
    model, memory = load(ROOT / "recipes/gpu1.yaml").model, min(card.memory for card in cuda.driver()[1])
    fits = (0.9 * memory - CONTEXT) / picture_bytes(model, "O2")
    return max(b for b in (1, 2, 4, 8, 16, 32, 64, 128) if b <= max(1, fits))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["GPU", "CPU"], default="GPU")
    parser.add_argument("--tiny", action="store_true", help="the smallest sizes, one step: is it all still in order?")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    peers = "the interpreter that has torch and efficientnet_pytorch"
    parser.add_argument("--torch-python", default=sys.executable, help=peers)
    parser.add_argument("--pictures", help="a folder of JPEGs to feed from (default: a made-up one)")
    parser.add_argument("--minutes", type=float, default=25, help="stop starting and waiting after so long")
    parser.add_argument("--out", default="tmp/gpu", help="folder for result.json and what the parts say")
    for hidden, kind in (("part", str), ("batch", int), ("onnx", str), ("case", json.loads)):
        parser.add_argument(f"--{hidden}", type=kind, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.variant, args.size, args.batches = "efficientnet_b2", 260, (1, 32, 256)
    if args.tiny:
        args.variant, args.size, args.batches = "efficientnet_toy", 32, (1, 2)
    if args.part:
        print(json.dumps(PARTS[args.part](args)))
        return 0
    if not shutil.which(args.torch_python):
        raise InputError(f"--torch-python {args.torch_python}: no such program; bench/gpu.sh makes one and names it")
    args.began, args.cores = time.monotonic(), len(os.sched_getaffinity(0))
    args.batch = 4 if args.tiny else 8 if args.device == "CPU" else batch_that_fits(args)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    args.out = os.path.abspath(args.out)
    args.onnx = str(Path(args.out, "model.onnx"))
    found = result(carried_out(args), args)
    for line in found["rows"]:
        print(rounds.spoken(line), file=sys.stderr)
    print(f"onto the page: python -m bench.run --keep {args.out}/result.json", file=sys.stderr)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    errors.run(main)
