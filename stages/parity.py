"""The logits of MindSpore, ONNX Runtime and the C++ program, side by side -> metrics/parity.json, metrics/parity.

Fails where two float32 runtimes do not answer alike; the files are written before, so that one can see how.
"""

import shutil
from pathlib import Path

from effnet import errors, parsed, recipe
from effnet.comparison import beside, parity
from effnet.errors import InputError
from effnet.files import write_json
from effnet.results import logits
from effnet.shards.dataset import Dataset

FLOAT32 = {
    "mindspore": "evaluate",
    "onnx": "onnx_eval",
    "infer310": "infer310",
}  # by runtime: the stage that keeps them


def main():
    params = recipe.load()
    further = [f"onnx_{kind}" for kind in params.export.quantize]
    further += ["openvino" if kind == "float32" else f"openvino_{kind}" for kind in params.onnx.openvino]
    stages = FLOAT32 | dict.fromkeys(further, "onnx_eval")
    dataset = Dataset("data/prepared", "val")
    of = parsed.json_file(Path("metrics/provenance/evaluate.json"), parsed.Provenance)
    if not of:
        raise InputError("metrics/provenance/evaluate.json: not here; `dvc repro evaluate` makes it")
    found = {}
    for stage in dict.fromkeys(stages.values()):
        found |= kept([name for name in stages if stages[name] == stage], stage, of["recipe"], dataset)
    found = {name: found[name] for name in stages}  # pairs are named in this order
    table = parity.pairs(found)
    exact = [name for name in stages if name in FLOAT32 or name == "openvino"]
    write_json("metrics/parity.json", {"worst_difference": parity.worst(table, exact)})
    parity.write_tables("metrics/parity", table, found)
    parity.check({name: found[name] for name in exact}, dataset.names)
    parity.check_rounded(found)


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
