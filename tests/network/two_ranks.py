"""Under msrun: a few training steps of the toy network, each process on its share of the batch. Writes each rank's
weights to the folder given.

msrun --worker_num=2 --local_worker_num=2 --join=True tests/two_ranks.py FOLDER frozen|sync
"""

import sys
from pathlib import Path

import numpy as np

from effnet.data.loader import Batch
from effnet.devices import launch
from effnet.recipe import load
from tests.peers import reference

STEPS = 5


def train(rank, ranks, mode):
    """[weights {name: array} after each step] of this rank; `mode` is how batch normalisation works: at its running
    statistics, or synchronised.
    """
    from effnet.network import checkpoint
    from effnet.network import efficientnet as network
    from effnet.training import step as steps

    recipe, case = load("recipes/smoke.yaml"), reference.Case(rate=2e-4 if mode == "frozen" else 1e-3)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"dropout": 0.0, "drop_connect": 0.0})})
    net = network.create(recipe.model, seed=3, sync_bn=mode == "sync" and ranks > 1)
    step, state = steps.create(net, net.trainable_params(), recipe, ranks, train_bn=mode == "sync")
    share, after = reference.IMAGES // ranks, []
    for batch, rate in zip(list(reference.batches(case))[:STEPS], reference.rates(case), strict=False):
        mine = [part[rank * share : (rank + 1) * share] for part in batch]
        step(Batch(*mine, np.arange(share)), (None, None), 1.0, rate, 0.0)
        after.append(checkpoint.arrays_of(state))
    return after


def main():
    folder, mode = sys.argv[1:]
    device.start("CPU")
    rank = launch.join(2)
    for number, weights in enumerate(train(rank, 2, mode)):
        np.savez(Path(folder) / f"{rank}-{number}.npz", **weights)


if __name__ == "__main__":
    main()
