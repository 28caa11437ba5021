"""Where a training stands, as plain numbers that its checkpoints keep."""

import dataclasses
import math
from collections import namedtuple

from effnet.errors import InputError
from effnet.training.step import mean_loss

FIRST_SCALE = 2.0**16  # of a dynamic loss scale
OVERFLOWS_IN_A_ROW = 100  # so many skipped updates mean that no loss scale will do
GOOD_STEPS_TO_DOUBLE = 2000

# An update that was given to the device: its number in the epoch, the learning rate it had, what the step returned
Update = namedtuple("Update", "number rate losses finite")


@dataclasses.dataclass
class Place:
    """Epoch and step under way, the loss so far, the loss scale, and what the finished epochs gave."""

    epoch: int = 0  # epochs finished
    step: int = 0  # updates done in the epoch under way
    settled: int = 0  # those of them whose losses are in loss_sum
    updates: int = 0
    loss_sum: float = 0.0  # over the steps of the epoch under way
    scale: float = 1.0  # loss scale
    good_steps: int = 0  # since the dynamic scale changed
    overflows: int = 0  # updates skipped in a row
    best_top1: float = -1.0
    chosen: dict = dataclasses.field(default_factory=dict)  # by what was held out: epoch, top1, first, best
    history: list = dataclasses.field(default_factory=list)  # one record per finished epoch

    def settle(self, pending, dynamic):
        """Fetch the losses of the `pending` Updates: add them up, steer a `dynamic` loss scale.

        Empties the list. Raises InputError for a loss that is not finite, naming the step.
        """
        for update in pending:
            loss, skipped = mean_loss(update.losses), dynamic and not bool(update.finite)
            where = f"epoch {self.epoch + 1}, step {update.number + 1}"
            if dynamic:
                self._steer(skipped, where)
            if not math.isfinite(loss) and not skipped:
                raise InputError(
                    f"{where}: the loss is {loss} at learning rate {update.rate:.3g}; lower train.lr_max or lengthen "
                    "train.warmup_epochs (the last good checkpoint is kept)"
                )
            self.loss_sum += loss if math.isfinite(loss) else 0.0
            self.settled += 1
        pending.clear()

    def end_epoch(self, loss, found, rate, images, seconds):
        """Record the epoch; `found` is what validation gave: {"loss", "top1", "top5"}."""
        self.epoch, self.step, self.settled, self.loss_sum = self.epoch + 1, 0, 0, 0.0
        self.history.append({
            "epoch": self.epoch,
            "loss": loss,
            "val_loss": found["loss"],
            "top1": found["top1"],
            "top5": found["top5"],
            "learning_rate": rate,
            "images_per_second": images / seconds,
            "seconds": seconds,
        })  # fmt: skip

    def choose(self, top1, images):
        """Whether the epoch that just ended gives the model so far, by its `top1` of the `images` held out.

        The latest epoch does that is not worse than the first, the frozen start, nor by more than a standard error than
        the best: the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984, with longer
        training in the simpler model's place. The very best would be chosen by chance: the rate falls to nothing. Two
        right and two wrong answers are added for the error, as by Agresti & Coull, 1998, or 100% would have none.
        """
        first, best = self.chosen.get("first", top1), max(top1, self.chosen.get("best", top1))
        share = (best * images + 2) / (images + 4)
        better = top1 >= max(first, best - math.sqrt(share * (1 - share) / (images + 4)))
        self.chosen = self.chosen | {"first": first, "best": best}
        if better:
            self.chosen |= {"epoch": self.epoch, "top1": top1}
        return better

    def choice(self, images):
        """In a sentence: which epoch's weights are the model, and why."""
        return (
            "the model is that of epoch {epoch}: of {images} training pictures held out it gets {top1:.2%} right, "
            "the first epoch {first:.2%}, the best {best:.2%} (train.holdout)".format(**self.chosen, images=images)
        )

    def line(self, batch_size):
        """The last epoch's log line, in the original's words (times in ms) and with what it left out."""
        last = self.history[-1]
        ms, steps = last["seconds"] * 1000, last["images_per_second"] * last["seconds"] / batch_size
        return (
            f"epoch {last['epoch']}: epoch time: {ms:.0f}, per step time: {ms / max(1, steps):.1f}, "
            f"avg loss: {last['loss']:.4f}, "
            f"lr: {last['learning_rate']:.3g}, images/s: {last['images_per_second']:.1f}, "
            f"val loss: {last['val_loss']:.4f}, top1: {last['top1']:.4f}, top5: {last['top5']:.4f}"
        )

    def _steer(self, skipped, where):
        """Halve the scale after an overflow, double it after many good steps."""
        if skipped:
            self.scale, self.good_steps, self.overflows = max(1.0, self.scale / 2), 0, self.overflows + 1
            if self.overflows == OVERFLOWS_IN_A_ROW:
                raise InputError(
                    f"{where}: gradients overflowed {OVERFLOWS_IN_A_ROW} times in a row; "
                    "lower train.lr_max or use amp_level O0"
                )
            return
        self.good_steps, self.overflows = self.good_steps + 1, 0
        if self.good_steps == GOOD_STEPS_TO_DOUBLE:
            self.scale, self.good_steps = self.scale * 2, 0
