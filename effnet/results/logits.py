"""Raw logits of a runtime, kept for the parity stage: their last digits are a machine's, so git and DVC leave them."""

from pathlib import Path

import numpy as np

from effnet.errors import InputError
from effnet.files import whole

FOLDER = Path("metrics/logits")


def keep(runtime, logits, meta, dataset):
    """Keep logits (n, classes), in the set's order, with the digests of the model and the data that they are of."""
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
        with np.load(path) as kept:
            if str(kept["of"]) != _of(recipe_digest, dataset):
                raise InputError(f"{path}: logits of another model or other pictures; {again}")
            found[runtime] = kept["logits"]
    return found


def _of(recipe_digest, dataset):
    return f"{recipe_digest} {dataset.digest}"
