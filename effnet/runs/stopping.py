"""When to stop: at the same step on every rank, whichever of them was told to."""

import signal

from effnet.network.ranks import any_of

EVERY = 10  # steps between two questions on accelerators, where each answer waits for what the device was given


def listen():
    """A list that is empty until SIGTERM has come."""
    told = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    signal.siginterrupt(signal.SIGTERM, False)  # or MindSpore's sockets would see interrupted calls
    return told


class Stop:
    """Asked after each step, on every rank: whether any of them has been told to stop. Once true, true for good.

    told    of this rank, by `listen`
    every   ask the others every so many steps only; all must ask at the same ones, or they would wait for each other
    alive   called before each question
    """

    def __init__(self, told, ranks, every=1, alive=lambda steps: None):
        self.told, self.ranks, self.every, self.alive = told, ranks, every if ranks.count > 1 else 1, alive
        self.steps, self.agreed = 0, False

    def __call__(self):
        self.steps += 1
        self.alive(self.steps)
        if not self.agreed and self.steps % self.every == 0:
            self.agreed = any_of(self.told, self.ranks)
        return self.agreed
