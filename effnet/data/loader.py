"""Batches out of a data set: the same bytes for any number of threads and devices, and from any step of an epoch.

The order of an epoch is a permutation of the whole set, a function of (seed, epoch); step s of it is one global batch,
and each device takes its contiguous slice of that. What happens to a picture is a function of (seed, epoch, index)
(presets.py), what happens to a pair of them a function of (seed, epoch, number of the pair in the epoch). Threads only
decide when something is computed, never what: decoding and resizing release Python's lock, so they are as good as
processes here and share the batch they fill.
"""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from effnet.data import augment, streams
from effnet.errors import InputError

# pictures a thread takes at a time: even, so that the two of a pair stay together; small, so that threads end together
CHUNK = 8


class Batch(NamedTuple):
    """N pictures of S x S pixels.

    The target of each is lam * onehot(labels) + (1 - lam) * onehot(others); without mixing lam is 1.
    """

    images: np.ndarray  # uint8 (N, S, S, 3), RGB
    labels: np.ndarray  # int32 (N,)
    others: np.ndarray  # int32 (N,)
    lam: np.ndarray  # float32 (N,)
    indices: np.ndarray  # int64 (N,), places in the data set


def train_batches(
    dataset, preset, batch_size, epoch, seed, mixup=0.0, cutmix=0.0, start_step=0, rank=0, ranks=1, workers=0
):
    """Iterate over one epoch's batches: slice `rank` of `ranks` of each global batch of `batch_size` pictures.

    dataset: effnet.shards.dataset.Dataset; preset: of presets.train_preset; mixup, cutmix: alpha of their Beta
    distribution, 0 is off; start_step: number of global batches to leave out (a resumed run); workers: threads, 0 for
    one per core. The last, incomplete global batch is left out. Raises InputError for a batch that cannot be split, and
    for a picture that cannot be read, naming it.
    """
    if batch_size % ranks:
        raise InputError(f"batch size {batch_size} is not divisible by {ranks} devices; choose a multiple")
    share = batch_size // ranks
    mixing = mixup > 0 or cutmix > 0
    if mixing and share % 2:
        raise InputError(
            f"mixup and cutmix need an even number of pictures per device, not {share} "
            f"({batch_size} over {ranks} devices)"
        )
    if batch_size > len(dataset):
        raise InputError(
            f"batch size {batch_size} is more than the {len(dataset)} training pictures; choose a smaller one"
        )
    order = streams.epoch_order(len(dataset), seed, epoch)
    starts = [step * batch_size + rank * share for step in range(start_step, len(dataset) // batch_size)]

    def fill(batch, first, a, b):
        """Make pictures a to b of the batch whose first picture has place `first` in the epoch."""
        for i in range(a, b):
            out = batch.images[i]
            picture(dataset, int(batch.indices[i]), lambda data, index, out=out: preset(data, epoch, index, out=out))
        for i in range(a, b if mixing else a, 2):
            pair = slice(i, i + 2)
            rng = streams.generator(seed, streams.PAIR, epoch, (first + i) // 2)
            batch.lam[pair] = augment.mix(batch.images[pair], rng, mixup, cutmix)
            batch.others[pair] = batch.labels[pair][::-1]

    return _in_order([(start, order[start : start + share]) for start in starts], dataset, preset.size, fill, workers)


def eval_batches(dataset, preset, batch_size, rank=0, ranks=1, workers=0):
    """Iterate over device `rank`'s contiguous part of the set in order, `batch_size` pictures at a time; the last batch
    may be short.

    The parts of all ranks together are the set, each picture once; their lengths differ by one at most (so a rank may
    have no batch). preset: of presets.eval_preset. Raises InputError for a picture that cannot be read, naming it.
    """
    first, end = len(dataset) * rank // ranks, len(dataset) * (rank + 1) // ranks
    part = np.arange(first, end, dtype=np.int64)

    def fill(batch, first, a, b):
        for i in range(a, b):
            picture(dataset, int(batch.indices[i]), lambda data, index, out=batch.images[i]: preset(data, out=out))

    slices = [(i, part[i : i + batch_size]) for i in range(0, len(part), batch_size)]
    return _in_order(slices, dataset, preset.size, fill, workers)


def _in_order(slices, dataset, size, fill, workers):
    """Yield the batches of `slices` [(first, indices)] in order, while threads fill the next few (bounded, so memory
    is too).
    """
    workers = workers or len(os.sched_getaffinity(0))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    waiting = deque()
    try:
        for first, indices in slices:
            labels = dataset.labels[indices].astype(np.int32)
            count = len(indices)
            images = np.empty((count, size, size, 3), np.uint8)
            batch = Batch(images, labels, labels.copy(), np.ones(count, np.float32), indices)
            jobs = [pool.submit(fill, batch, first, a, min(a + CHUNK, count)) for a in range(0, count, CHUNK)]
            waiting.append((batch, jobs))
            # two batches ahead, no thread idle
            if len(waiting) > 2 and sum(len(jobs) for _, jobs in waiting) > 2 * workers:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:  # also when the consumer stops early or a picture fails
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(batch, jobs):
    for job in jobs:
        job.result()
    return batch


def picture(dataset, index, make):
    """make(bytes of picture `index`, index); what is wrong with the bytes is said with the picture's name."""
    try:
        return make(dataset.read(index), index)
    except InputError as error:
        raise InputError(
            f"{dataset.names[index]}: not a readable picture ({error}); take it out and prepare again"
        ) from None
