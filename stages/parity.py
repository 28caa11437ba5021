"""The logits of MindSpore, ONNX Runtime and the C++ program, side by side -> metrics/parity.json, metrics/parity.

Fails where two runtimes do not answer as alike as their precisions allow; the files are written before, so that one can
see how.
"""

import shutil
from pathlib import Path

from effnet import errors, parsed, recipe
from effnet.comparison import beside, parity
from effnet.errors import InputError
from effnet.files import write_json
from effnet.results import logits
from effnet.shards.dataset import Dataset

STAGES = {"mindspore": "evaluate", "onnx": "onnx_eval", "infer310": "infer310"}  # by runtime: which keeps its logits


def main():
    params = recipe.load()
    stages = {name: stage for name, stage in STAGES.items() if name != "infer310" or params.onnx.infer310}
    of = {name: provenance_of(stage) for name, stage in stages.items()}
    precisions = {name: found["device"]["precision"] for name, found in of.items()}
    precisions |= {f"onnx_{kind}": kind for kind in params.export.quantize}
    precisions |= {"openvino" if kind == "float32" else f"openvino_{kind}": kind for kind in params.onnx.openvino}
    stages = dict.fromkeys(precisions, "onnx_eval") | stages
    dataset = Dataset("data/prepared", "val")
    found = {}
    for stage in dict.fromkeys(stages.values()):
        found |= kept([name for name in stages if stages[name] == stage], stage, of["mindspore"]["recipe"], dataset)
    found = {name: found[name] for name in stages}  # pairs are named in this order
    table = parity.pairs(found)
    exact = [name for name in stages if precisions[name] == "float32"]
    compared = exact if len(exact) > 1 else list(STAGES)[:2]  # of devices that round, the worst is theirs
    write_json("metrics/parity.json", {"worst_difference": parity.worst(table, compared)})
    parity.write_tables("metrics/parity", table, found, plotted=(*STAGES, "onnx_int8"))
    parity.check({name: found[name] for name in exact}, dataset.names)
    parity.check_rounded(found, precisions)


def provenance_of(stage):
    path = Path(f"metrics/provenance/{stage}.json")
    found = parsed.json_file(path, parsed.Provenance)
    if not found:
        raise InputError(f"{path}: not here; `dvc repro {stage}` makes it")
    return found


def kept(runtimes, stage, of, dataset):
    """`{runtime: logits}` of those that `stage` keeps.

    They are no output of DVC's, which skips a stage whose metrics are there: where they are missing, the stage runs
    again beside this folder, and its metrics here stay as they are.
    """
    try:
        return logits.read(runtimes, of, dataset, dict.fromkeys(runtimes, stage))
    except InputError as error:
        print(f"{error}: now", flush=True)
        with beside.folder() as folder:
            done = beside.run(["-m", f"stages.{stage}"], folder, Path.cwd(), capture_output=True)
            if done.returncode:
                raise  # with the command that shows why
            for made in (folder / logits.FOLDER).iterdir():
                logits.FOLDER.mkdir(parents=True, exist_ok=True)
                shutil.move(made, logits.FOLDER / made.name)
        return logits.read(runtimes, of, dataset, dict.fromkeys(runtimes, stage))


if __name__ == "__main__":
    errors.run(main)
