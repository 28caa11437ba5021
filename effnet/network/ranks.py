"""The processes that train together, one a device."""

from collections import namedtuple

import mindspore as ms
import numpy as np
from mindspore import ops
from mindspore.communication import get_group_size, get_rank, init

from effnet.errors import InputError

Ranks = namedtuple("Ranks", "rank count")  # this process's number, and how many there are
ALONE = Ranks(0, 1)


def join(count):
    """In each process: join the others.

    Returns its `Ranks`. Raises InputError if the number of processes is not `count`.
    """
    if count == 1:
        return ALONE
    init()
    if get_group_size() != count:
        raise InputError(f"train.device_num: {count}, but {get_group_size()} processes were started")
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=count)
    return Ranks(get_rank(), count)


def total(array, ranks):
    """The sum of a float32 array over all ranks, on each of them (the CPU's AllReduce knows no integers)."""
    return ops.AllReduce()(ms.Tensor(np.asarray(array, np.float32))).asnumpy() if ranks.count > 1 else array


def wait_for_all(ranks):
    """Return when every rank has come here."""
    total([0.0], ranks)


def any_of(condition, ranks):
    """Whether `condition` is true on some rank, the same answer on each of them."""
    return bool(total([float(bool(condition))], ranks)[0])


def gather(text, ranks):
    """What each rank says: a list of strings in the order of ranks, the same on each of them."""
    mine = np.frombuffer(text.encode(), np.uint8)
    lengths = np.zeros(ranks.count, np.float32)
    lengths[ranks.rank] = len(mine)
    lengths = total(lengths, ranks).astype(int)
    table = np.zeros((ranks.count, lengths.max()), np.float32)  # a row each: the sum is what all say
    table[ranks.rank, : len(mine)] = mine
    rows = total(table, ranks).astype(np.uint8)
    return [row[:length].tobytes().decode() for row, length in zip(rows, lengths, strict=True)]


def on_first(work, ranks):
    """Let rank 0 do `work()` while the others wait for it. What goes wrong there ends all of them, each with a
    sentence.
    """
    failed = None
    if ranks.rank == 0:
        try:
            work()
        except (OSError, InputError) as error:
            failed = error
    if any_of(failed, ranks):
        raise failed or InputError("rank 0 could not write; what went wrong stands in its own line")
