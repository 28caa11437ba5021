"""Raw logits of a runtime, kept for the parity stage: their last digits are a machine's, so git and DVC leave them."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from effnet.errors import InputError
from effnet.files import whole

FOLDER = Path("metrics/logits")


def keep(runtime, logits, meta, dataset):
    """Keep logits (n, classes), in the set's order, with the digests of the model and the data that they are of.

    Raises InputError for what is no number: there is no accuracy of it.
    """
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise InputError(
            f"{runtime}: the answers to {bad} of {len(logits)} pictures are NaN or infinite; the weights are too large "
            "for this runtime's precision, or damaged"
        )
    with whole(FOLDER / f"{runtime}.npz") as file:
        np.savez(file, logits=np.asarray(logits, np.float32), of=_of(meta["recipe_digest"], dataset))


def read(runtimes, recipe_digest, dataset, stages):
    """`{runtime: (n, classes) float32}`. Raises InputError, naming the stage to run, where one is missing or of another
    model.
    """
    found = {}
    for runtime in runtimes:
        path = FOLDER / f"{runtime}.npz"
        again = f"`dvc repro --single-item --force {stages[runtime]}` makes them"
        if not path.is_file():
            raise InputError(f"{path}: the logits are not here (they are kept where they were made); {again}")
        try:
            with np.load(path) as kept:
                of, logits = str(kept["of"]), kept["logits"]
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{path}: damaged ({error}); {again}") from None
        shape = len(dataset), len(dataset.classes)
        if of != _of(recipe_digest, dataset) or logits.shape != shape:
            raise InputError(f"{path}: logits of another model or other pictures; {again}")
        if logits.dtype != np.float32 or not np.isfinite(logits).all():
            raise InputError(f"{path}: damaged: no table of finite float32; {again}")
        found[runtime] = logits
    return found


def _of(recipe_digest, dataset):
    return f"{recipe_digest} {dataset.digest}"
