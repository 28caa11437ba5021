"""A part of the training pictures that nothing learns from, to choose by: the validation set is what one reports on."""

import numpy as np

from effnet.data import streams
from effnet.errors import InputError


class Part:
    """Some pictures of a data set, in its order, as a data set: `places` (n,) int64 are theirs in the whole."""

    def __init__(self, whole, places):
        self.whole, self.places, self.labels = whole, places, whole.labels[places]

    def __len__(self):
        return len(self.places)

    def read(self, i):
        return self.whole.read(self.places[i])

    @property
    def names(self):
        return [self.whole.names[place] for place in self.places]


def split(train_set, share, seed):
    """`(to learn from, held out)`: of each class `share` of its pictures is held out, one at least, but never all.

    Which, is a function of the labels and the seed. A share of 0 gives (train_set, None).
    """
    if not share:
        return train_set, None
    held = np.zeros(len(train_set), bool)
    for label in np.unique(train_set.labels):
        places = np.flatnonzero(train_set.labels == label)
        order = np.argsort(streams.philox(seed, streams.HELD_OUT, 0, int(label)).random_raw(len(places)), kind="stable")
        held[places[order[: min(max(1, round(share * len(places))), len(places) - 1)]]] = True
    if not held.any():
        raise InputError("train.holdout: no class has two training pictures, so none can be held out; set it to 0")
    return Part(train_set, np.flatnonzero(~held)), Part(train_set, np.flatnonzero(held))
