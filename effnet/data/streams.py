"""Every random number of a training, in one place: each stream is a function of (seed, what it is for, epoch, item)
alone.

So nothing random has to be kept for a restart, and neither threads nor devices change what comes. Philox's bits are the
same in all versions of NumPy.
"""

import numpy as np

ORDER, SAMPLE, PAIR, HELD_OUT = range(4)  # what a stream of random numbers is for


def philox(seed, purpose, epoch, item=0):
    """Random bits, a function of the arguments alone: the counter makes streams of 2^128 numbers that never overlap."""
    return np.random.Philox(key=[seed, purpose], counter=[0, 0, epoch, item])


def generator(seed, purpose, epoch, item=0):
    """NumPy's Generator over `philox`."""
    return np.random.Generator(philox(seed, purpose, epoch, item))


def epoch_order(count, seed, epoch):
    """int64 (count,): the order of one epoch, a permutation made of raw bits."""
    return np.argsort(philox(seed, ORDER, epoch).random_raw(count), kind="stable")


def mask_generator(seed, epoch, step, skip=0):
    """Generator of the masks of dropout and drop connect for the global batch `step` of `epoch`, from its float32
    number `skip` on.
    """
    bits = np.random.Philox(np.random.SeedSequence([seed, epoch, step, 1])).advance(skip // 8)  # 8 numbers a count
    generator = np.random.Generator(bits)
    generator.random(skip % 8, np.float32)
    return generator
