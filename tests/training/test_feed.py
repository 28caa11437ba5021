"""effnet/training/feed.py: the same batches and masks, made while the step before runs, and never further ahead."""

import threading

import numpy as np
import pytest

from effnet.network.ranks import ALONE
from effnet.recipe import load
from effnet.training import feed, step

WAIT = 60  # seconds after which what did not come never will


class Made:
    """A generator of numbers that says which it has made, and whether it was closed."""

    def __init__(self, count):
        self.events, self.closed = [threading.Event() for _ in range(count)], False

    def __iter__(self):
        try:
            for i, event in enumerate(self.events):
                event.set()
                yield i
        finally:
            self.closed = True


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("feed")]


def test_the_next_is_made_while_one_is_in_use():
    made, seen = Made(5), []
    for i in feed.ahead(iter(made)):
        seen.append(i)
        if i < 4:
            assert made.events[i + 1].wait(WAIT), "nothing is made while this thread is busy"
        assert sum(event.is_set() for event in made.events) == min(i + 2, 5), "it runs further ahead"
    assert seen == list(range(5)) and made.closed and not threads()


def test_left_early_nothing_runs_on():
    made = Made(5)
    items = feed.ahead(iter(made))
    assert next(items) == 0
    items.close()
    assert made.closed and not threads()


def test_what_goes_wrong_is_raised_where_it_is_missed():
    def failing():
        yield 1
        raise OSError("train-00000.tar")

    items = feed.ahead(failing())
    assert next(items) == 1
    with pytest.raises(OSError, match="train-00000.tar"):
        next(items)
    assert not threads()


def test_masks_are_each_steps_own():
    recipe = load("recipes/smoke.yaml")
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"drop_connect": 0.5})})
    fed = list(feed.with_masks((name for name in "abc"), recipe, 2, 7, ALONE))
    assert [batch for batch, _ in fed] == list("abc")
    for number, (_, masks) in enumerate(fed, 7):
        expected = step.keep_masks(recipe, 2, number)
        assert all(np.array_equal(a, b) for a, b in zip(masks, expected, strict=True))
