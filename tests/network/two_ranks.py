"""Under msrun: a few training steps of the toy network, each process on its share of the batch. Writes each rank's
weights to the folder given. Or, with "wide", what batch normalisation makes of pictures of great deviation in float16.

msrun --worker_num=2 --local_worker_num=2 --join=True python -m tests.network.two_ranks FOLDER frozen|sync|wide|drift
"""

import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from effnet.data.loader import Batch
from effnet.errors import InputError
from effnet.network import checkpoint, device, efficientnet
from effnet.network.layers import Layers
from effnet.network.ranks import ALONE, join
from effnet.recipe import load
from effnet.runs import agreement
from effnet.training import step as steps
from tests.peers import reference

STEPS = 5


def train(ranks, mode):
    """[weights {name: array} after each step] of this rank; `mode` is how batch normalisation works: at its running
    statistics, or synchronised.
    """
    recipe, case = load("recipes/smoke.yaml"), reference.Case(rate=2e-4 if mode == "frozen" else 1e-3)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"dropout": 0.0, "drop_connect": 0.0})})
    net = efficientnet.create(recipe.model, seed=3, sync_bn=mode == "sync" and ranks != ALONE)
    step, state = steps.create(net, net.trainable_params(), recipe, ranks, train_bn=mode == "sync")
    share, after = reference.IMAGES // ranks.count, []
    for batch, rate in list(zip(reference.batches(case), reference.rates(case), strict=True))[:STEPS]:
        mine = [part[ranks.rank * share : (ranks.rank + 1) * share] for part in batch]
        step(Batch(*mine, np.arange(share)), (None, None), 1.0, rate, 0.0)
        after.append(checkpoint.arrays_of(state))
    return after


def wide():
    """float16 (8, 3, 5, 7) of deviation 400."""
    return (400 * np.random.default_rng(7).standard_normal((8, 3, 5, 7))).astype(np.float16)


def normalized(ranks):
    """(normalised pictures, running variance) of this rank's share of `wide`, as a network under O3 has them."""
    mine = np.split(wide(), ranks.count)[ranks.rank]
    norm, _ = Layers(sync_bn=True).norm(3, None)
    net = efficientnet.mixed_precision(nn.SequentialCell(norm), "O3").set_train()
    return {"pictures": net(ms.Tensor(mine)).asnumpy(), "variance": norm.moving_variance.asnumpy()}


def drifted(ranks):
    """What is said where one weight of rank 1 has another last bit; before that, nothing."""
    weights = {"a": np.ones(3, np.float32), "b": np.zeros((2, 2), np.float32)}
    agreement.check_weights(weights, ranks)
    weights["b"][1, 0] = 1e-45 * ranks.rank
    try:
        agreement.check_weights(weights, ranks)
    except InputError as error:
        return str(error)
    return ""


def main():
    folder, mode = sys.argv[1:]
    device.start("CPU")
    ranks = join(2)
    if mode == "wide":
        np.savez(Path(folder) / f"{ranks.rank}-wide.npz", **normalized(ranks))
        return
    if mode == "drift":
        Path(folder, f"{ranks.rank}.txt").write_text(drifted(ranks))
        return
    for number, weights in enumerate(train(ranks, mode)):
        np.savez(Path(folder) / f"{ranks.rank}-{number}.npz", **weights)


if __name__ == "__main__":
    main()
