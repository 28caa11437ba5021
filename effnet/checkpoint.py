"""What a model and a run are on disk, and how they come back.

Both are MindSpore checkpoints (`mindspore.load_checkpoint` reads them) with a checksum and one JSON text inside:
a model holds weights and what is needed to use them (classes, pre-processing); a run holds besides the optimizer's state,
the average weights and its place in the training, so that it goes on as if it had never stopped.
"""

import json
import os
import shutil
from pathlib import Path

from effnet import device  # noqa: F401  before mindspore

import mindspore as ms
import numpy as np

from effnet.errors import InputError
from effnet.files import sync_folder

META = "effnet"  # name of the JSON text among the parameters


def save(path, arrays, meta):
    """Write `{name: array}` and a JSON-able `meta`, whole or not at all: aside, fsync, rename. A full disk leaves what was there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.part.ckpt")  # MindSpore insists on the ending
    try:
        _remove(aside)
        entries = [{"name": name, "data": ms.Tensor(array)} for name, array in arrays.items()]
        try:
            ms.save_checkpoint(entries, str(aside), append_dict={META: json.dumps(meta)}, crc_check=True)
        except (RuntimeError, OSError, ValueError) as error:
            free = shutil.disk_usage(path.parent).free
            raise InputError(
                f"{path}: could not be written ({_first_line(error)}; {free >> 20} MiB free there); earlier files are untouched"
            ) from None
        os.chmod(aside, 0o644)  # MindSpore writes 0400
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
        sync_folder(path.parent)
    finally:
        _remove(aside)


def _remove(aside):
    for path in aside.parent.glob(f"{aside.stem}.*"):  # MindSpore writes a .tmp beside it first
        path.unlink()


def load(path):
    """`({name: array}, meta)` of a checkpoint. Raises InputError if the file is missing, damaged or not one of ours."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint; `dvc repro train` makes it, `dvc pull` brings it")
    try:
        parameters = ms.load_checkpoint(str(path), crc_check=True)
        meta = json.loads(str(parameters.pop(META)))
    except KeyError:
        raise InputError(f"{path}: a MindSpore checkpoint, but not written by this project; `effnet/weights.py` converts others") from None
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        raise InputError(f"{path}: damaged or not a MindSpore checkpoint ({_first_line(error)}); remove it or fetch it again") from None
    return {name: parameter.asnumpy() for name, parameter in parameters.items()}, meta


save_model = save


def load_model(path, variant=None, class_num=None):
    """A model's weights and meta, refused unless they are of `variant` with `class_num` classes (where given)."""
    weights, meta = load(path)
    if variant and meta.get("variant") != variant:
        raise InputError(f"{path}: holds {meta.get('variant')}, but model.variant is {variant}")
    if class_num and meta.get("class_num") != class_num:
        raise InputError(f"{path}: has {meta.get('class_num')} classes, but model.class_num is {class_num}")
    return weights, meta


def runs(folder):
    """Checkpoints to resume from in `folder`, newest first."""
    return sorted(Path(folder).glob("step-*.ckpt"), reverse=True)


def save_run(folder, step, arrays, meta, keep):
    """Write the run's state after `step` updates and keep the newest `keep` such files."""
    save(Path(folder) / f"step-{step:08d}.ckpt", arrays, meta)
    for old in runs(folder)[keep:]:
        old.unlink()


def newest_run(folder, say=print):
    """`(arrays, meta)` of the newest undamaged run in `folder`, or None. Each damaged one is named and passed over."""
    for path in runs(folder):
        try:
            return load(path)
        except InputError as error:
            say(f"{error}; trying the one before")
    return None


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


def set_aside(folder):
    """Move a run that must not be resumed out of the way, losing nothing; returns where it went."""
    folder = Path(folder)
    aside = next(p for n in range(1, 10_000) if not (p := folder.with_name(f"{folder.name}.old-{n}")).exists())
    folder.rename(aside)
    return aside
