"""A checkpoint on disk: named arrays with a checksum and one JSON text inside, as `mindspore.load_checkpoint` reads it.

A model holds weights and what is needed to use them (classes, pre-processing), a run (effnet/runs/run.py) what it takes
to go on as well.
"""

import json
import shutil
from pathlib import Path

import mindspore as ms
import numpy as np

from effnet.arch.family import BN_EPS
from effnet.errors import InputError
from effnet.files import aside

META = "effnet"  # name of the JSON text among the parameters


def save(path, arrays, meta):
    """Write `{name: array}` and a JSON-able `meta`, whole or not at all. A full disk leaves what was there."""
    entries = [{"name": name, "data": ms.Tensor(array)} for name, array in arrays.items()]
    with aside(path) as made:
        try:
            ms.save_checkpoint(entries, str(made), append_dict={META: json.dumps(meta)}, crc_check=True)
        except (RuntimeError, OSError, ValueError) as error:
            free = shutil.disk_usage(Path(path).parent).free
            raise InputError(
                f"{path}: could not be written ({_first_line(error)}; {free >> 20} MiB free there); "
                "earlier files are untouched"
            ) from None


def load(path):
    """`({name: array}, meta)` of a checkpoint.

    Raises InputError if the file is missing, damaged or not one of ours, PermissionError if it may not be read.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint{_made_by(Path(path))}")
    open(path, "rb").close()  # MindSpore would call one damaged that may not be read
    try:
        parameters = ms.load_checkpoint(str(path), crc_check=True)
        meta = json.loads(str(parameters.pop(META)))
        if not isinstance(meta, dict):
            raise ValueError("what it says of itself is no dictionary")
    except KeyError:
        raise InputError(
            f"{path}: a MindSpore checkpoint, but not written by this project; `make pretrained` converts others"
        ) from None
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        raise InputError(
            f"{path}: damaged or not a MindSpore checkpoint ({_first_line(error)}); remove it or fetch it again"
        ) from None
    return {name: parameter.asnumpy() for name, parameter in parameters.items()}, meta


def _made_by(path):
    """In words, what makes a checkpoint of this name."""
    if path.parent.name == "pretrained":
        return f"; `make pretrained MODEL={path.stem}` makes it"
    stage = {"effnet.ckpt": "train", "start.ckpt": "pretrained"}.get(path.name)
    return f"; `dvc repro {stage}` makes it, `dvc pull` brings it" if stage else ""


def load_model(path, variant=None, class_num=None):
    """A model's weights and meta, refused unless they are of `variant` with `class_num` classes (where given)."""
    weights, meta = load(path)
    meta.setdefault("bn_eps", BN_EPS)  # of files from before it was a recipe's
    if variant and meta.get("variant") != variant:
        raise InputError(f"{path}: holds {meta.get('variant')}, but model.variant is {variant}")
    if class_num and meta.get("class_num") != class_num:
        raise InputError(f"{path}: has {meta.get('class_num')} classes, but model.class_num is {class_num}")
    return weights, meta


def arrays_of(parameters):
    """`{name: array}` of MindSpore parameters, copied to the host."""
    return {p.name: np.asarray(p.asnumpy()) for p in parameters}


def restore(parameters, arrays):
    """Put arrays back into the parameters of the same names. Raises InputError naming what is missing or misshapen."""
    for p in parameters:
        if p.name not in arrays or tuple(arrays[p.name].shape) != tuple(p.shape):
            found = tuple(arrays[p.name].shape) if p.name in arrays else "nothing"
            raise InputError(f"checkpoint does not fit: {p.name} should be {tuple(p.shape)}, found {found}")
        p.set_data(ms.Tensor(arrays[p.name], p.dtype))


def _first_line(error):
    return str(error).strip().split("\n")[0].strip(" .")
