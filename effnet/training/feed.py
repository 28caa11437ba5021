"""What each step needs, made while the device computes the step before it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from effnet.training.step import keep_masks

END = object()


def with_masks(batches, recipe, epoch, first, ranks):
    """Iterate over (batch, masks of step.keep_masks): `batches` are this rank's of `epoch` from step `first` on."""
    return ahead((batch, keep_masks(recipe, epoch, number, ranks)) for number, batch in enumerate(batches, first))


def ahead(items):
    """Iterate over a generator's items, each made by another thread while the one before it is in use.

    What the generator raises is raised here; when this ends, early too, it is closed and no thread runs on.
    """
    with closing(items), ThreadPoolExecutor(1, "feed") as thread:
        coming = thread.submit(next, items, END)
        while (item := coming.result()) is not END:
            coming = thread.submit(next, items, END)
            yield item
