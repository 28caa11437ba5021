"""Under msrun: a few training steps of the toy network, each process on its share of the batch. Writes each rank's
weights to the folder given.

msrun --worker_num=2 --local_worker_num=2 --join=True python -m tests.network.two_ranks FOLDER frozen|sync
"""

import sys
from pathlib import Path

import numpy as np

from effnet.data.loader import Batch
from effnet.network import checkpoint, device, efficientnet
from effnet.network.ranks import ALONE, join
from effnet.recipe import load
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


def main():
    folder, mode = sys.argv[1:]
    device.start("CPU")
    ranks = join(2)
    for number, weights in enumerate(train(ranks, mode)):
        np.savez(Path(folder) / f"{ranks.rank}-{number}.npz", **weights)


if __name__ == "__main__":
    main()
