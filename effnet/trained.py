"""A trained model's file, as evaluation and export take it: nothing of it is believed before it was looked at."""

import numpy as np

from effnet import parsed
from effnet.arch.layers import shapes
from effnet.errors import InputError, loading

with loading():
    from effnet.network import checkpoint


def load(path, variant=None, class_num=None):
    """`({name: array}, meta)` of the checkpoint at `path`, of `variant` and `class_num` where these are given.

    Raises InputError if it cannot be read, is no model of ours, or holds other arrays than its variant has, or NaN.
    """
    weights, meta = checkpoint.load_model(path, variant, class_num)
    parsed.meta(path, meta)
    expected = shapes(meta["variant"], meta["class_num"])
    for name, shape in expected.items():
        found = weights.get(name)
        if found is None or tuple(found.shape) != tuple(shape):
            what = "missing" if found is None else f"of shape {tuple(found.shape)}, not {tuple(shape)}"
            raise InputError(f"{path}: not a whole {meta['variant']}: {name} is {what}; fetch it or make it again")
        if not np.isfinite(found).all():
            raise InputError(
                f"{path}: {name} holds NaN or infinities, so it answers nothing; take a checkpoint from before, "
                "and train with a lower train.lr_max or amp_level O0"
            )
    return weights, meta
